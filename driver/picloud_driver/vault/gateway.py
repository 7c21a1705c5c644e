"""The gateway to Vault: the only module that calls it. It blocks; call it from a thread."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, VaultError
from picloud_model.errors import Unavailable
from requests import RequestException

from picloud_driver.vault import faults
from picloud_driver.vault.client import SSH_PERMITTED, SSH_ROLE, ssh_mount, vault_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.vault.client import VaultAccess

_FIELD: Final = "value"
"""Vault stores text, so the value is in base64."""
_NO_NAME: Final = "ping"


class Version(msgspec.Struct, frozen=True):
    """The newest version of a secret: its number, 0 for none, and its value.

    The value is None if there is no version, or if the newest one was deleted by hand.
    """

    number: int
    value: bytes | None

    def __repr__(self) -> str:
        return f"Version({self.number})"


class TokenLife(msgspec.Struct, frozen=True):
    """The remaining life of the token in seconds, None for unlimited; and its policies."""

    remaining_s: int | None
    renewable: bool
    policies: tuple[str, ...] = ()


class VaultGateway:
    """The requests that the platform makes to one mount, in plain values and `Unavailable`.

    Args:
        access: Address and credentials.
        connections: How many connections to keep open.
    """

    def __init__(self, access: VaultAccess, connections: int) -> None:
        self.where = f"Vault at {access.address}, mount {access.mount}"
        self._mount = access.mount
        self._ssh_mount = ssh_mount(access.mount)
        self._client = vault_client(access, connections)
        self._kv = self._client.secrets.kv.v2

    def read(self, name: str) -> Version:
        """Return the newest version of a secret."""
        with self._explained():
            try:
                answer = self._kv.read_secret_version(
                    name, mount_point=self._mount, raise_on_deleted_version=True
                )
            except InvalidPath as error:
                return _without_value(error)
        data = self._section(answer, "data")
        if "metadata" not in data:
            raise self._version_1()
        return Version(data["metadata"]["version"], self._value(name, data))

    def write(self, name: str, value: bytes, expect: int | None = None) -> bool:
        """Write a version; return False if the newest one does not have the expected number."""
        text = base64.b64encode(value).decode()
        with self._explained():
            try:
                answer = self._kv.create_or_update_secret(
                    name, {_FIELD: text}, cas=expect, mount_point=self._mount
                )
            except InvalidRequest as error:
                if faults.OLD_VERSION in str(error):
                    return False
                raise
        if not isinstance(answer, dict):
            # Version 1 has written a value that no reader finds.
            raise self._version_1()
        return True

    def remove(self, name: str) -> None:
        """Remove all versions of a secret, if any."""
        with self._explained():
            self._kv.delete_metadata_and_all_versions(name, mount_point=self._mount)

    def look(self) -> None:
        """Return if secrets can be read."""
        self.read(_NO_NAME)

    def ssh_authority(self) -> str:
        """Return the public key with which certificates are signed."""
        with self._explained(), self._ssh_explained():
            answer = self._client.secrets.ssh.read_public_key(mount_point=self._ssh_mount)
        return str(self._section(answer, "data")["public_key"]).strip()

    def sign_ssh(self, public_key: str, principal: str, valid_s: int) -> str:
        """Return a certificate for a principal."""
        with self._explained(), self._ssh_explained():
            answer = self._client.secrets.ssh.sign_ssh_key(
                name=SSH_ROLE,
                public_key=public_key,
                ttl=f"{valid_s}s",
                valid_principals=principal,
                cert_type="user",
                # Those of a request replace the role's, so both are named.
                extensions=dict.fromkeys(SSH_PERMITTED, ""),
                mount_point=self._ssh_mount,
            )
        return str(self._section(answer, "data")["signed_key"]).strip()

    @contextlib.contextmanager
    def _ssh_explained(self) -> Iterator[None]:
        """Say what is missing where the mount for SSH was not made, or the token is older."""
        try:
            yield
        except (Forbidden, InvalidPath, InvalidRequest) as error:
            message = (
                f"{self.where}: no SSH certificate can be signed: start the server once with a "
                f"token that may make the mount {self._ssh_mount}, and then with a new one."
            )
            raise Unavailable(message) from error

    def token(self) -> TokenLife:
        """Return the remaining life of the token."""
        with self._explained():
            token = self._section(self._client.auth.token.lookup_self(), "data")
        policies = tuple(token["policies"])
        if token["expire_time"] is None:
            return TokenLife(None, renewable=False, policies=policies)
        return TokenLife(token["ttl"], bool(token.get("renewable")), policies)

    def renew(self) -> TokenLife:
        """Renew the token for as long as Vault grants."""
        with self._explained():
            token = self._section(self._client.auth.token.renew_self(), "auth")
        return TokenLife(token["lease_duration"], token["renewable"])

    def close(self) -> None:
        """Close the connections; one in use closes when its response has arrived."""
        self._client.adapter.close()

    def _version_1(self) -> Unavailable:
        return Unavailable(f"{self.where}: it is of KV version 1: name a mount of version 2.")

    def _section(self, answer: Any, part: str) -> dict[str, Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get(part), dict):
            message = f"{self.where}: its answer cannot be read: is it Vault that answers?"
            raise Unavailable(message)
        section: dict[str, Any] = answer[part]
        return section

    def _value(self, name: str, data: dict[str, Any]) -> bytes:
        try:
            return base64.b64decode(data["data"][_FIELD], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            message = f"{self.where}: {name} was not written by the server: delete or correct it."
            # The error that was caught would show its text.
            raise Unavailable(message) from None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of hvac and requests into one sentence."""
        try:
            yield
        except (VaultError, RequestException, OSError) as error:
            raise faults.refusal(error, self.where) from error


def _without_value(error: InvalidPath) -> Version:
    """Return the version of a secret that does not exist or was deleted; raise any other error."""
    answer: dict[str, Any] = error.json or {}
    if metadata := (answer.get("data") or {}).get("metadata"):
        return Version(metadata["version"], None)
    if answer.get("errors") == []:
        return Version(0, None)
    raise error
