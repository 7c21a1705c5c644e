"""API keys and accounts, as the server lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from picloud_model import wire

if TYPE_CHECKING:
    from cloud._http.transport import Transport


class KeyClient:
    """Makes, lists and switches the API keys of the account whose key is used."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self) -> wire.KeyMade:
        """Make a key. The answer is the only one that holds its secret."""
        body = wire.KeyRequest(request_id=uuid4().hex)
        return self._transport.post("/v1/keys", body, wire.KeyMade)

    def list(self, *, active_only: bool = False) -> list[wire.ListedKey]:
        """Every key, the oldest first, without secrets."""
        body = wire.KeysRequest(active_only=active_only)
        return self._transport.post("/v1/keys/list", body, wire.KeysListed).keys

    def switch(self, name: str, *, active: bool) -> wire.ListedKey:
        """Activate a key, or deactivate it: every server refuses it within 5 seconds."""
        verb = "activate" if active else "deactivate"
        body = wire.KeyIdRequest(id=name)
        return self._transport.post(f"/v1/keys/{verb}", body, wire.ListedKey)

    def open_account(self, name: str) -> wire.KeyMade:
        """Make an account with its first key; for administrators."""
        body = wire.AccountRequest(request_id=uuid4().hex, name=name)
        return self._transport.post("/v1/accounts", body, wire.KeyMade)

    def accounts(self) -> wire.AccountsListed:
        """All accounts, the oldest first; for administrators."""
        return self._transport.post(
            "/v1/accounts/list", wire.AccountsRequest(), wire.AccountsListed
        )


def id_of(key: object) -> str:
    """The id of a key, given whole or as that id.

    >>> id_of("pk_0123456789ab_secret"), id_of("0123456789ab")
    ('0123456789ab', '0123456789ab')
    """
    text = str(key)
    return text.split("_")[1] if text.count("_") > 1 else text
