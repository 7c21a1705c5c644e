"""Bootstrap: every server in turn, each change looked for again after the one before it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.errors import PiCloudError

from picloud_driver.stack.addresses import (
    consul_of,
    environment_of,
    nats_of,
    nomad_of,
    s3_of,
    vault_of,
)
from picloud_driver.stack.bootstrap import consul, identity, nats, nomad, s3, vault
from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from picloud_driver.stack.bootstrap.change import Change, Replacement
    from picloud_driver.stack.bootstrap.keys import KeyFile

_READERS: Final = {
    "consul": consul_of,
    "vault": vault_of,
    "s3": s3_of,
    "nomad": nomad_of,
    "nats": nats_of,
}
_ADDRESSES: Final = {
    "consul": "CONSUL_HTTP_ADDR",
    "vault": "VAULT_ADDR",
    "s3": "PICLOUD_S3_BUCKET",
    "nomad": "NOMAD_ADDR",
}
_TOKENS: Final[dict[str, Callable[..., Replacement | None]]] = {
    "consul": consul.tokens,
    "vault": vault.tokens,
    "s3": s3.tokens,
    "nomad": nomad.tokens,
}
"""The servers in which the API has a token or key that bootstrap has made."""
_GOSSIP: Final[dict[str, Callable[..., Replacement | None]]] = {
    "consul": consul.gossip,
    "nomad": nomad.gossip,
}
"""The servers whose gossip is encrypted."""
_CHANGES: Final[dict[str, Callable[..., list[Change]]]] = {
    "consul": consul.changes,
    "vault": vault.changes,
    "s3": s3.changes,
    "nomad": nomad.changes,
    "nats": nats.changes,
}


class Bootstrap:
    """The servers that an environment names, and what they need.

    Args:
        environment: Addresses of the servers, and tokens of administrators.
        keys: The keys of the cluster.
        adopt: Whether to take over what another cluster has left.

    Raises:
        StackFault: When it names none, or one without its token.
    """

    def __init__(self, environment: Mapping[str, str], keys: KeyFile, *, adopt: bool) -> None:
        self._keys = keys
        self._adopt = adopt
        try:
            named = {name: read(environment) for name, read in _READERS.items()}
        except PiCloudError as error:
            raise StackFault(error.message) from error
        self.servers: dict[str, Any] = {name: one for name, one in named.items() if one}
        if not self.servers:
            raise StackFault(
                "No server is named: set CONSUL_HTTP_ADDR, VAULT_ADDR, NOMAD_ADDR, NATS_URL and "
                "PICLOUD_S3_BUCKET."
            )

    def plan(self, name: str) -> list[Change]:
        """Return what a server lacks; nothing is changed.

        Raises:
            StackFault: When it cannot be used as it is; says why.
        """
        try:
            changes = _CHANGES[name](self.servers[name], self._keys, adopt=self._adopt)
            if name == "nomad":
                changes += self._identity()
        except PiCloudError as error:
            raise StackFault(error.message) from error
        return changes

    def _identity(self) -> Iterator[Change]:
        """Yield what Vault and Consul lack to know the API on this Nomad."""
        nomad_server = self.servers["nomad"]
        if vault_server := self.servers.get("vault"):
            yield from identity.changes_in_vault(vault_server, nomad_server)
        if consul_server := self.servers.get("consul"):
            managed = consul.with_token(consul_server, self._keys)
            yield from identity.changes_in_consul(managed, nomad_server, self._keys.mark)

    def run(self, name: str) -> Iterator[str]:
        """Make what a server lacks; yield the text of each change once it is made.

        Raises:
            StackFault: When a change cannot be made; those made before stay, and a later call goes
                on from there.
        """
        previous = ""
        while planned := self.plan(name):
            change = planned[0]
            if change.text == previous:
                raise StackFault(f"{name} does not keep {change.text}; look at its log.")
            try:
                change.make()
            except PiCloudError as error:
                raise StackFault(error.message) from error
            previous = change.text
            yield change.text

    def new_tokens(self) -> Iterator[str]:
        """Give the API other tokens; yield the name of each server once it has one.

        Those that they replace stay valid until `revoke_old_tokens`.

        Raises:
            StackFault: When a server lacks what bootstrap makes, or cannot be used.
        """
        return self._make(_TOKENS)

    def revoke_old_tokens(self) -> Iterator[tuple[str, int]]:
        """End all tokens of the API but the newest; yield servers, and how many each had.

        Raises:
            StackFault: When a server does not know the newest token, or cannot be used.
        """
        return self._revoke(_TOKENS)

    def new_gossip_keys(self) -> Iterator[str]:
        """Let servers encrypt their gossip with other keys; yield the name of each that does.

        Those that they replace are accepted until `remove_old_gossip_keys`.

        Raises:
            StackFault: When a server lacks what bootstrap makes, does not encrypt its gossip, or
                has a member that does not answer.
        """
        return self._make(_GOSSIP)

    def remove_old_gossip_keys(self) -> Iterator[tuple[str, int]]:
        """End all gossip keys but the newest; yield servers, and how many each had.

        Raises:
            StackFault: When a server does not have the newest key, or cannot be used.
        """
        return self._revoke(_GOSSIP)

    def _make(self, kinds: Mapping[str, Callable[..., Replacement | None]]) -> Iterator[str]:
        for name, change in self._replacements(kinds).items():
            try:
                change.make()
            except PiCloudError as error:
                raise StackFault(error.message) from error
            yield name

    def _revoke(
        self, kinds: Mapping[str, Callable[..., Replacement | None]]
    ) -> Iterator[tuple[str, int]]:
        for name, change in self._replacements(kinds).items():
            try:
                yield name, change.revoke()
            except PiCloudError as error:
                raise StackFault(error.message) from error

    def _replacements(
        self, kinds: Mapping[str, Callable[..., Replacement | None]]
    ) -> dict[str, Replacement]:
        """Return how tokens or keys are replaced, if all servers have what they need."""
        found = {}
        for name, replacement in kinds.items():
            if name in self.servers:
                if lacking := self.plan(name):
                    raise StackFault(
                        f"{name} lacks {lacking[0].text}: run picloud admin bootstrap first."
                    )
                if change := replacement(self.servers[name], self._keys):
                    found[name] = change
        if not found:
            *others, last = (_ADDRESSES[name] for name in kinds)
            raise StackFault(
                "No server of those whose keys are replaced is named: set "
                f"{', '.join(others)} or {last}."
            )
        return found

    def write_environment(self) -> Path:
        """Write the variables that name these servers, with the API's tokens; return the file.

        Raises:
            StackFault: When it cannot be written.
        """
        variables: dict[str, str] = {}
        for name, server in self.servers.items():
            variables |= environment_of(name, self._own(name, server))
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        return self._keys.write_environment("".join(lines))

    def _own(self, name: str, server: Any) -> Any:
        """Return a server with the API's token or key, if it has one of its own."""
        keys = self._keys.now
        if name == "s3":
            own = {"access_key": keys.s3_access_key, "secret_key": keys.s3_secret_key}
        else:
            own = {"token": getattr(keys, name, "")}
        return msgspec.structs.replace(server, **own) if all(own.values()) else server
