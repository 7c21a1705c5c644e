"""The gateway to Vault: the only place that speaks to it. It blocks; call it from a thread."""

from __future__ import annotations

import base64
import binascii
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hvac.exceptions import InvalidPath, InvalidRequest, VaultError
from picloud_model.errors import Unavailable
from requests import RequestException

from picloud_driver.vault import faults
from picloud_driver.vault.client import vault_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.vault.client import VaultAccess

_FIELD: Final = "value"
"""Vault keeps text, so the bytes are there in base64."""
_NO_NAME: Final = "ping"


class Version(msgspec.Struct, frozen=True):
    """What lies under a name: the number of its newest version, 0 for none, and its value.

    The value is None when there is no version, or the newest one was deleted by hand.
    """

    number: int
    value: bytes | None

    def __repr__(self) -> str:
        return f"Version({self.number})"


class TokenLife(msgspec.Struct, frozen=True):
    """How long our token lives, in seconds; None for ever."""

    left_s: int | None
    renewable: bool


class VaultGateway:
    """What the platform asks of one mount of KV version 2, in plain values and `Unavailable`.

    Args:
        access: Where it is.
        connections: How many connections to keep open.
    """

    def __init__(self, access: VaultAccess, connections: int) -> None:
        self.where = f"Vault at {access.address}, mount {access.mount}"
        self._mount = access.mount
        self._client = vault_client(access, connections)
        self._kv = self._client.secrets.kv.v2

    def read(self, name: str) -> Version:
        """The newest version of a secret."""
        with self._explained():
            try:
                answer = self._kv.read_secret_version(
                    name, mount_point=self._mount, raise_on_deleted_version=True
                )
            except InvalidPath as error:
                return _without_value(error)
        told = self._told(answer, "data")
        if "metadata" not in told:
            raise self._version_1()
        return Version(told["metadata"]["version"], self._value(name, told))

    def write(self, name: str, value: bytes, expect: int | None = None) -> bool:
        """Write a version; False when the newest one has not the number expected."""
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
            # It has written something that nobody will find.
            raise self._version_1()
        return True

    def remove(self, name: str) -> None:
        """Remove all versions of a secret, if there are any."""
        with self._explained():
            self._kv.delete_metadata_and_all_versions(name, mount_point=self._mount)

    def look(self) -> None:
        """Return when secrets may be read."""
        self.read(_NO_NAME)

    def token(self) -> TokenLife:
        """How long our token lives."""
        with self._explained():
            found = self._told(self._client.auth.token.lookup_self(), "data")
        if found["expire_time"] is None:
            return TokenLife(None, renewable=False)
        return TokenLife(found["ttl"], bool(found.get("renewable")))

    def renew(self) -> TokenLife:
        """Let our token live on for as long as Vault grants it."""
        with self._explained():
            found = self._told(self._client.auth.token.renew_self(), "auth")
        return TokenLife(found["lease_duration"], found["renewable"])

    def close(self) -> None:
        """Close the connections; one in use closes when its answer is there."""
        self._client.adapter.close()

    def _version_1(self) -> Unavailable:
        return Unavailable(f"{self.where}: it is of KV version 1: name a mount of version 2.")

    def _told(self, answer: Any, part: str) -> dict[str, Any]:
        if not isinstance(answer, dict) or not isinstance(answer.get(part), dict):
            message = f"{self.where}: its answer cannot be read: is it Vault that answers?"
            raise Unavailable(message)
        told: dict[str, Any] = answer[part]
        return told

    def _value(self, name: str, data: dict[str, Any]) -> bytes:
        try:
            return base64.b64decode(data["data"][_FIELD], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            message = f"{self.where}: {name} was not written by the server: delete or correct it."
            # Its text would be in the error that was caught.
            raise Unavailable(message) from None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what hvac and requests raise into one sentence."""
        try:
            yield
        except (VaultError, RequestException, OSError) as error:
            raise faults.refusal(error, self.where) from error


def _without_value(error: InvalidPath) -> Version:
    """A secret that is not there, or whose newest version was deleted; else the error itself."""
    told: dict[str, Any] = error.json or {}
    if metadata := (told.get("data") or {}).get("metadata"):
        return Version(metadata["version"], None)
    if told.get("errors") == []:
        return Version(0, None)
    raise error
