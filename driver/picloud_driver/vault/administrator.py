"""What an administrator does in Vault: mounts, policies and tokens."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError
from picloud_model.errors import Unavailable
from requests import RequestException

from picloud_driver.vault import faults
from picloud_driver.vault.client import SSH_ROLE, vault_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_driver.vault.client import VaultAccess

_PERIOD: Final = "768h"
"""How long the server may be down before its token expires: 32 days, Vault's maximum."""
_READY_S: Final = 10.0
_POLL_S: Final = 0.05


class VaultMount(msgspec.Struct, frozen=True):
    """A secrets engine, and what it is for."""

    type: str
    options: dict[str, str] | None = None
    description: str = ""


class VaultAdministrator(contextlib.AbstractContextManager["VaultAdministrator"]):
    """Requests with an administrator's token. It blocks.

    Every method raises `Unavailable` when Vault does not answer, is sealed, or refuses the token.

    Args:
        access: Vault's address and the token, which is not stored.
    """

    def __init__(self, access: VaultAccess) -> None:
        self._access = access
        self._where = f"Vault at {access.address}, mount {access.mount}"
        self._client = vault_client(access, 1)

    def __exit__(self, *_: object) -> None:
        self._client.adapter.close()

    def version(self) -> str:
        """Return the version of the server that answers, which must be unsealed."""
        with self._explained():
            return str(self._client.sys.read_seal_status()["version"])

    def mount_at(self, path: str) -> VaultMount | None:
        """Return the secrets engine at a path; None if there is none."""
        with self._explained():
            mounts = self._client.sys.list_mounted_secrets_engines()["data"]
        found = mounts.get(f"{path}/")
        return msgspec.convert(found, VaultMount) if found else None

    def mount(self, path: str, engine: str, options: dict[str, str], description: str = "") -> None:
        """Mount a secrets engine, unless it is mounted there, and wait until it can be used.

        Raises:
            Unavailable: When something else is mounted there.
        """
        with self._explained():
            try:
                self._client.sys.enable_secrets_engine(
                    engine, path=path, options=options, description=description
                )
            except InvalidRequest as error:
                if faults.IN_USE not in str(error):
                    raise
        found = self.mount_at(path)
        if not found or not is_mounted(found, engine, options):
            raise Unavailable(f"Vault's mount {path} is used for something else: name another one.")
        if engine == "kv":
            self._await_upgrade(path)

    def describe(self, path: str, description: str) -> None:
        """Say what a mount is for."""
        with self._explained():
            self._client.sys.tune_mount_configuration(path=path, description=description)

    def has_ssh_authority(self, path: str) -> bool:
        """Whether an SSH engine has a key that signs certificates, and rules for signing."""
        with self._explained():
            try:
                self._client.secrets.ssh.read_public_key(mount_point=path)
                return self._client.read(f"{path}/roles/{SSH_ROLE}") is not None
            except (InvalidPath, InvalidRequest):
                return False

    def make_ssh_authority(self, path: str, signing: Mapping[str, Any]) -> None:
        """Make the key that signs certificates, unless there is one, and the rules for signing."""
        key = {"generate_signing_key": True, "key_type": "ed25519"}
        with self._explained():
            try:
                self._client.write_data(f"{path}/config/ca", data=key)
            except InvalidRequest as error:
                if faults.CONFIGURED not in str(error):
                    raise
            self._client.write_data(f"{path}/roles/{SSH_ROLE}", data=dict(signing))

    def has_auth(self, path: str) -> bool:
        """Whether clients can sign in at a path."""
        with self._explained():
            return f"{path}/" in self._client.sys.list_auth_methods()["data"]

    def enable_auth(self, path: str, method: str) -> None:
        """Let clients sign in at a path, by a method such as jwt; it may exist.

        Args:
            path: Without "auth/".
            method: Vault's name of it.
        """
        with self._explained():
            try:
                self._client.sys.enable_auth_method(method, path=path)
            except InvalidRequest as error:
                if faults.IN_USE not in str(error):
                    raise

    def holds(self, path: str, values: Mapping[str, Any]) -> bool:
        """Whether a path has these values; it may have others besides."""
        with self._explained():
            answer = self._client.read(path)
        return bool(answer) and all(answer["data"].get(key) == one for key, one in values.items())

    def write(self, path: str, values: Mapping[str, Any]) -> None:
        """Write the values of a path."""
        with self._explained():
            self._client.write_data(path, data=dict(values))

    def policy(self, name: str) -> str | None:
        """Return the rules of a policy; None if there is none of this name."""
        with self._explained():
            try:
                return str(self._client.sys.read_policy(name)["data"]["rules"])
            except InvalidPath:
                return None

    def set_policy(self, name: str, rules: str) -> None:
        """Make a policy, or give the one of this name these rules."""
        with self._explained():
            self._client.sys.create_or_update_policy(name, rules)

    def create_token(self, policies: Sequence[str]) -> str:
        """Return a new periodic token with these policies, which need not exist yet."""
        with self._explained():
            # An orphan: the server's token does not end with the administrator's.
            made = self._client.auth.token.create_orphan(
                policies=[*policies],
                no_default_policy=True,
                period=_PERIOD,
                display_name=policies[0],
            )
        return str(made["auth"]["client_token"])

    def is_token_of(self, token: str, policies: Sequence[str]) -> bool:
        """Whether a token is valid and has these policies and no other."""
        client = vault_client(dataclasses.replace(self._access, token=token), 1)
        try:
            with self._explained():
                found = client.auth.token.lookup_self()["data"]
        except Unavailable as refused:
            if isinstance(refused.__cause__, Forbidden):
                return False
            raise
        finally:
            client.adapter.close()
        return bool(sorted(found["policies"]) == sorted(policies))

    def revoke_tokens(self, policies: Sequence[str], kept: str) -> int:
        """Revoke the tokens that have the first of some policies, and no others than these.

        Args:
            policies: Their names.
            kept: The token that stays.

        Returns:
            How many there were.
        """
        tokens = self._client.auth.token
        count = 0
        with self._explained():
            own = tokens.lookup(kept)["data"]["accessor"]
            for accessor in tokens.list_accessors()["data"]["keys"]:
                try:
                    found = tokens.lookup_accessor(accessor)["data"]
                except (Forbidden, InvalidPath):
                    continue  # it has expired meanwhile
                names = set(found["policies"])
                # Those of tasks that have signed in end with them.
                is_made = str(found["path"]).startswith("auth/token/")
                is_ours = policies[0] in names <= set(policies)
                if is_made and is_ours and accessor != own:
                    tokens.revoke_accessor(accessor)
                    count += 1
        return count

    def _await_upgrade(self, path: str) -> None:
        """Wait until a mount can be used, as Vault prepares it in the background."""
        deadline = time.monotonic() + _READY_S
        while True:
            with self._explained():
                try:
                    self._client.secrets.kv.v2.read_configuration(mount_point=path)
                except InvalidRequest as error:
                    if faults.UPGRADING not in str(error) or time.monotonic() > deadline:
                        raise
                else:
                    return
            time.sleep(_POLL_S)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (VaultError, RequestException, OSError) as error:
            raise faults.refusal(error, self._where) from error


def is_mounted(mount: VaultMount | None, engine: str, options: dict[str, Any]) -> bool:
    """Whether a mount has this engine with these options."""
    if mount is None:
        return False
    return mount.type == engine and options.items() <= (mount.options or {}).items()
