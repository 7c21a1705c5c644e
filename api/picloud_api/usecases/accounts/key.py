"""API keys and accounts, managed by their owners: create, list, deactivate, activate."""

from __future__ import annotations

import base64
import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import wire
from picloud_model.errors import (
    KeyNotFound,
    KeyRefused,
    RequestConflict,
    RequestRefused,
    RoleRefused,
)
from picloud_model.wire.role import Role

from picloud_api.store import layout
from picloud_api.store.records import Account, Key
from picloud_api.usecases.accounts.account import FIRST_ACCOUNT, Holder, check_administrator

if TYPE_CHECKING:
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Accounts

MAX_KEYS: Final = 1000
"""The most keys an account may have, inactive ones included."""
MAX_ACCOUNTS: Final = 10_000
_ACCOUNT_DIGITS: Final = 7
_TRIES: Final = 20


class Keys:
    """Manages the keys of an account; holders of a key of the first account manage accounts.

    A key is derived from the request that creates it: a repeated request returns the same key, and
    no secret is stored. A reader of the store has neither the pepper nor the request.
    """

    def __init__(self, accounts: Accounts, pepper: bytes) -> None:
        self._accounts = accounts
        self._commits = accounts.commits
        self._clock = accounts.clock
        self._seed = hmac.digest(pepper, b"keys that are made", sha256)

    async def create(self, holder: Holder, request: wire.KeyRequest) -> wire.KeyMade:
        """Create a key of the caller's account; it belongs to the same person.

        Raises:
            RoleRefused: When it may do more than the caller's.
            RequestConflict: When the account has too many.
        """
        if not holder.role.includes(request.role):
            message = f"A key of a {holder.role} cannot make one of a {request.role}."
            raise RoleRefused(message, field="role")
        if len(await self._of(holder.account)) >= MAX_KEYS:
            message = f"An account has {MAX_KEYS} keys at most; activate an old one."
            raise RequestConflict(message)
        return await self._made(holder, request)

    async def list(self, holder: Holder, request: wire.KeysRequest) -> wire.KeysListed:
        """Return the keys of the caller's account, the oldest first."""
        keys = await self._of(holder.account)
        listed = [
            _listed(holder, name, key)
            for name, key in keys.items()
            if (key.active or not request.active_only)
        ]
        return wire.KeysListed(keys=sorted(listed, key=lambda key: (key.created_at, key.id)))

    async def set_active(self, holder: Holder, name: str, *, active: bool) -> wire.ListedKey:
        """Activate a key, or deactivate it: every process refuses it within seconds.

        A key cannot deactivate itself, so one is left that can activate the others.

        Raises:
            KeyNotFound: When the account has no such key.
            RoleRefused: When it may do more than the caller's, or is another person's.
            RequestConflict: When a key is to deactivate itself.
        """
        if name == holder.key and not active:
            message = "This is the key you use: deactivate it with another key of your account."
            raise RequestConflict(message, field="id")

        async def plan(draft: Draft) -> wire.ListedKey:
            own: Key | None = await draft.get(layout.key(holder.key))
            key: Key | None = await draft.get(layout.key(name))
            if own is None or not own.active:
                raise KeyRefused
            if key is None or key.account != holder.account or key.signs_in:
                raise KeyNotFound
            if not _may_change(holder, key):
                raise RoleRefused("This is the key of another person: an owner can change it.")
            changed = msgspec.structs.replace(key, active=active)
            if active and not holder.role.includes(key.role):
                message = f"A {holder.role} cannot activate a key of a {key.role}."
                raise RoleRefused(message)
            if key.active != active:
                draft.put(layout.key(name), changed)
            return _listed(holder, name, changed)

        return await self._commits.run(plan)

    async def create_account(self, holder: Holder, request: wire.AccountRequest) -> wire.KeyMade:
        """Create an account with its first key.

        Raises:
            AdministratorsOnly: When the caller's key is not one of the first account.
            RequestRefused: When the name is not printable, or there are too many accounts.
        """
        check_administrator(holder)
        if not request.name.isprintable() or request.name != request.name.strip():
            message = "An account's name is one line of printable characters."
            raise RequestRefused(message, field="name")
        if len(await self._commits.view.scan(Account.prefix)) >= MAX_ACCOUNTS:
            raise RequestConflict(f"There are {MAX_ACCOUNTS} accounts, which is the most.")
        first = Holder(await self._opened(request), "")
        return await self._made(first, wire.KeyRequest(request_id=request.request_id))

    async def accounts(self, holder: Holder) -> wire.AccountsListed:
        """Return all accounts, the oldest first.

        Raises:
            AdministratorsOnly: When the caller's key is not one of the first account.
        """
        check_administrator(holder)
        accounts: dict[str, Account] = await self._commits.view.scan(Account.prefix)
        active = [key.account for key in (await self._keys()).values() if key.active]
        listed = [
            wire.ListedAccount(
                id=name, name=each.name, created_at=each.created_at, active_keys=active.count(name)
            )
            for name, each in ((Account.parse(key), each) for key, each in accounts.items())
        ]
        return wire.AccountsListed(
            accounts=sorted(listed, key=lambda account: (account.created_at, account.id))
        )

    async def _opened(self, request: wire.AccountRequest) -> str:
        """Return the account that this request created, or create one under the first free id.

        Its ids are derived from the request, so a repeated request finds the same account.
        """
        origin = self._derived("account", request.request_id)
        record = Account(request.name, self._clock(), origin)

        async def plan(draft: Draft) -> str:
            for number in range(_TRIES):
                text = f"{request.request_id}/{number}"
                account = f"a{self._derived('account id', text).hex()[:_ACCOUNT_DIGITS]}"
                present: Account | None = await draft.get(layout.account(account))
                if present is None and account != FIRST_ACCOUNT:
                    draft.create(layout.account(account), record)
                    return account
                if present is not None and hmac.compare_digest(present.made, origin):
                    return account
            raise RequestRefused("No account id is free; try again with another request id.")

        return await self._commits.run(plan)

    async def _made(self, holder: Holder, request: wire.KeyRequest) -> wire.KeyMade:
        text = f"{holder.account}/{request.request_id}"
        if request.role is not Role.OWNER:
            text = f"{text}/{request.role}"
        secret = base64.urlsafe_b64encode(self._derived("secret", text)).decode().rstrip("=")
        key = f"pk_{self._derived('id', text).hex()[:12]}_{secret}"
        await self._accounts.store_key(holder.account, key, request.role, holder.person)
        return wire.KeyMade(key=key, account=holder.account)

    def _derived(self, what: str, text: str) -> bytes:
        return hmac.digest(self._seed, f"{what}/{text}".encode(), sha256)

    async def _of(self, account: str) -> dict[str, Key]:
        keys = (await self._keys()).items()
        return {name: key for name, key in keys if key.account == account and not key.signs_in}

    async def _keys(self) -> dict[str, Any]:
        keys: dict[str, Key] = await self._commits.view.scan(Key.prefix)
        return {Key.parse(name): key for name, key in keys.items()}


def _may_change(holder: Holder, key: Key) -> bool:
    """Whether the holder of a key may activate or deactivate another key of the account."""
    is_of_person = bool(holder.person) and key.person == holder.person
    return holder.role is Role.OWNER or is_of_person


def _listed(holder: Holder, name: str, key: Key) -> wire.ListedKey:
    return wire.ListedKey(
        id=name,
        active=key.active,
        created_at=key.created_at,
        own=name == holder.key,
        role=key.role,
        person=key.person,
    )
