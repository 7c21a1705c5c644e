"""API keys and accounts as their owners see them: made, listed, switched off and on."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import wire
from picloud_model.errors import (
    AdministratorsOnly,
    KeyNotFound,
    KeyRefused,
    RequestRefused,
)

from picloud_api.store import layout
from picloud_api.store.records import Account, Key
from picloud_api.usecases.accounts.account import FIRST_ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts, Holder

MAX_KEYS: Final = 1000
"""Most keys an account may have, switched off ones too."""
MAX_ACCOUNTS: Final = 10_000
_ACCOUNT_DIGITS: Final = 7
_TRIES: Final = 20


class Keys:
    """Manages keys and accounts for whoever holds a key.

    A key is derived from the request that makes it, so that a repeat answers the same one and its
    secret is nowhere kept. Whoever reads the store has neither the pepper nor the request.
    """

    def __init__(self, accounts: Accounts, pepper: bytes) -> None:
        self._accounts = accounts
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._seed = hmac.digest(pepper, b"keys that are made", sha256)

    async def create(self, holder: Holder, request: wire.KeyRequest) -> wire.KeyMade:
        """Make a key for the account that asks.

        Raises:
            RequestRefused: When it has too many.
        """
        if len(await self._of(holder.account)) >= MAX_KEYS:
            message = f"An account has {MAX_KEYS} keys at most; activate an old one."
            raise RequestRefused(message)
        return await self._made(holder.account, request.request_id)

    async def list(self, holder: Holder, request: wire.KeysRequest) -> wire.KeysListed:
        """The keys of the account that asks, the oldest first."""
        found = await self._of(holder.account)
        listed = [_listed(holder, name, key) for name, key in found.items()]
        listed = [key for key in listed if key.active or not request.active_only]
        return wire.KeysListed(keys=sorted(listed, key=lambda key: (key.created_at, key.id)))

    async def switch(self, holder: Holder, name: str, *, active: bool) -> wire.ListedKey:
        """Let a key open the account, or refuse it everywhere within seconds.

        The key that asks cannot switch itself off: so one is left that can switch others on.

        Raises:
            KeyNotFound: When the account has no such key.
            RequestRefused: When it is the key that asks.
        """
        if name == holder.key and not active:
            message = "This is the key you use: deactivate it with another key of your account."
            raise RequestRefused(message, field="id")
        now = wire.ListedKey(id=name, active=active, created_at=0.0)

        async def plan(draft: Draft) -> None:
            nonlocal now
            own: Key | None = await draft.get(layout.key(holder.key))
            key: Key | None = await draft.get(layout.key(name))
            if own is None or not own.active:
                raise KeyRefused
            if key is None or key.account != holder.account:
                raise KeyNotFound
            changed = msgspec.structs.replace(key, active=active)
            if key.active != active:
                draft.put(layout.key(name), changed)
            now = _listed(holder, name, changed)

        await self._commits.run(plan)
        return now

    async def open(self, holder: Holder, request: wire.AccountRequest) -> wire.KeyMade:
        """Make an account with its first key.

        Raises:
            AdministratorsOnly: When the key is not one of the first account's.
            RequestRefused: When the name cannot be shown, or there are too many accounts.
        """
        _check_administrator(holder)
        if not request.name.isprintable() or request.name != request.name.strip():
            message = "An account's name is one line of printable characters."
            raise RequestRefused(message, field="name")
        if len(await self._commits.view.scan("accounts/")) >= MAX_ACCOUNTS:
            raise RequestRefused(f"There are {MAX_ACCOUNTS} accounts, which is the most.")
        account = await self._opened(request)
        return await self._made(account, request.request_id)

    async def accounts(self, holder: Holder) -> wire.AccountsListed:
        """All accounts, the oldest first.

        Raises:
            AdministratorsOnly: When the key is not one of the first account's.
        """
        _check_administrator(holder)
        found: dict[str, Account] = await self._commits.view.scan("accounts/")
        active = [key.account for key in (await self._keys()).values() if key.active]
        listed = [
            wire.ListedAccount(
                id=name, name=each.name, created_at=each.created_at, active_keys=active.count(name)
            )
            for name, each in ((name.partition("/")[2], each) for name, each in found.items())
        ]
        return wire.AccountsListed(
            accounts=sorted(listed, key=lambda account: (account.created_at, account.id))
        )

    async def _opened(self, request: wire.AccountRequest) -> str:
        """The account of this request: of the first free id among those it leads to."""
        made = self._derived("account", request.request_id)
        record = Account(request.name, self._clock(), made)
        chosen = ""

        async def plan(draft: Draft) -> None:
            nonlocal chosen
            for number in range(_TRIES):
                text = f"{request.request_id}/{number}"
                chosen = f"a{self._derived('account id', text).hex()[:_ACCOUNT_DIGITS]}"
                there: Account | None = await draft.get(layout.account(chosen))
                if there is None and chosen != FIRST_ACCOUNT:
                    draft.create(layout.account(chosen), record)
                    return
                if there is not None and hmac.compare_digest(there.made, made):
                    return
            raise RequestRefused("No account id is free; try again with another request id.")

        await self._commits.run(plan)
        return chosen

    async def _made(self, account: str, request_id: str) -> wire.KeyMade:
        text = f"{account}/{request_id}"
        secret = base64.urlsafe_b64encode(self._derived("secret", text)).decode().rstrip("=")
        key = f"pk_{self._derived('id', text).hex()[:12]}_{secret}"
        await self._accounts.admit(account, key)
        return wire.KeyMade(key=key, account=account)

    def _derived(self, what: str, text: str) -> bytes:
        return hmac.digest(self._seed, f"{what}/{text}".encode(), sha256)

    async def _of(self, account: str) -> dict[str, Key]:
        return {name: key for name, key in (await self._keys()).items() if key.account == account}

    async def _keys(self) -> dict[str, Any]:
        found: dict[str, Key] = await self._commits.view.scan("keys/")
        return {name.partition("/")[2]: key for name, key in found.items()}


def _check_administrator(holder: Holder) -> None:
    if holder.account != FIRST_ACCOUNT:
        raise AdministratorsOnly


def _listed(holder: Holder, name: str, key: Key) -> wire.ListedKey:
    return wire.ListedKey(
        id=name, active=key.active, created_at=key.created_at, own=name == holder.key
    )
