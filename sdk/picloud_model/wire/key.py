"""API keys and accounts: requests and answers about them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from picloud_model.wire.body import Answer, KeyId, Request, SubmitId
from picloud_model.wire.limits import MAX_ACCOUNT_NAME
from picloud_model.wire.role import Role


class KeyRequest(Request, frozen=True):
    """Make an API key for the account that asks: `POST /v1/keys`.

    `request_id` is a secret UUID in hex; a request that repeats it gets the same key. The new key
    may not do more than the one that makes it.
    """

    request_id: SubmitId
    role: Role = Role.OWNER


class KeyMade(Answer, frozen=True):
    """A new API key, in full. The server keeps a keyed hash of its secret and shows it only now."""

    key: str
    account: str

    def __repr__(self) -> str:
        return f"KeyMade(account={self.account!r})"


class KeysRequest(Request, frozen=True):
    """List the API keys of the account that asks: `POST /v1/keys/list`."""

    active_only: bool = False


class ListedKey(Answer, frozen=True):
    """An API key without its secret; `own` marks the key that made the request.

    `person` is the name of the member whose key it is; empty if it belongs to no member.
    """

    id: str
    active: bool
    created_at: float
    own: bool = False
    role: Role = Role.OWNER
    person: str = ""


class KeysListed(Answer, frozen=True):
    """The API keys of an account, oldest first."""

    keys: list[ListedKey]


class KeyIdRequest(Request, frozen=True):
    """Names an API key: `POST /v1/keys/activate`, `POST /v1/keys/deactivate`."""

    id: KeyId


class AccountRequest(Request, frozen=True):
    """Make an account and its first key: `POST /v1/accounts`, for administrators.

    `request_id` as in `KeyRequest`.
    """

    request_id: SubmitId
    name: Annotated[str, Meta(min_length=1, max_length=MAX_ACCOUNT_NAME)]


class AccountsRequest(Request, frozen=True):
    """List all accounts: `POST /v1/accounts/list`, for administrators."""


class ListedAccount(Answer, frozen=True):
    """An account, and how many of its keys are active."""

    id: str
    name: str
    created_at: float
    active_keys: int


class AccountsListed(Answer, frozen=True):
    """All accounts, oldest first."""

    accounts: list[ListedAccount]
