"""API keys and accounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from picloud_model import wire
from picloud_model.wire.role import Role

from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from cloud._http.transport import Transport


_ID: Final = re.compile(r"[0-9a-f]{12}")


class KeyClient:
    """Creates, lists, activates and deactivates the API keys of an account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._known: set[str] = set()

    def create(self, role: Role = Role.OWNER) -> wire.KeyMade:
        """Create a key. Only this reply contains its secret."""
        body = wire.KeyRequest(request_id=uuid4().hex, role=role)
        return self._transport.post("/v1/keys", body, wire.KeyMade)

    def list(self, *, active_only: bool = False) -> list[wire.ListedKey]:
        """Return all keys, oldest first, without secrets."""
        body = wire.KeysRequest(active_only=active_only)
        return self._transport.post("/v1/keys/list", body, wire.KeysListed).keys

    def has(self, key_id: str) -> bool:
        """Return whether there is such a key; the server is asked once about each."""
        if key_id not in self._known:
            self._known.update(each.id for each in self.list())
        return key_id in self._known

    def set_active(self, key_id: str, *, active: bool) -> wire.ListedKey:
        """Activate a key, or deactivate it: within 5 seconds every server rejects it."""
        verb = "activate" if active else "deactivate"
        body = wire.KeyIdRequest(id=key_id)
        return self._transport.post(f"/v1/keys/{verb}", body, wire.ListedKey)

    def create_account(self, name: str) -> wire.KeyMade:
        """Create an account and its first key; for administrators."""
        body = wire.AccountRequest(request_id=uuid4().hex, name=name)
        return self._transport.post("/v1/accounts", body, wire.KeyMade)

    def accounts(self) -> wire.AccountsListed:
        """Return all accounts, oldest first; for administrators."""
        return self._transport.post(
            "/v1/accounts/list", wire.AccountsRequest(), wire.AccountsListed
        )


def id_of(key: object) -> str:
    """Return the id of a key, which is a whole key or an id.

    >>> id_of("pk_0123456789ab_secret"), id_of("0123456789ab")
    ('0123456789ab', '0123456789ab')
    """
    text = str(key)
    return text.split("_")[1] if text.count("_") > 1 else text


def checked_id(key: object) -> str:
    """Return the id of a key that a user names.

    Raises:
        CloudValueError: When it is neither a whole key nor an id.

    >>> checked_id("abc")
    Traceback (most recent call last):
        ...
    cloud.CloudValueError: 'abc' is not a valid key id: give a key, or the ID in pk_ID_...
    """
    key_id = id_of(key)
    if not _ID.fullmatch(key_id):
        raise CloudValueError(
            f"{key_id[:80]!r} is not a valid key id: give a key, or the ID in pk_ID_..."
        )
    return key_id
