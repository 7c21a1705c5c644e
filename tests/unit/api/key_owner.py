"""Owners of API keys: what the use cases of keys and accounts see of them."""

from __future__ import annotations

from uuid import uuid4

import msgspec
from picloud_api.usecases.accounts.account import Holder
from picloud_model import wire

from tests.unit.api.api_harness import ApiHarness


class KeyOwner(msgspec.Struct, frozen=True):
    """A key, and the holder that a request with it comes from."""

    api: ApiHarness
    key: str
    holder: Holder

    @property
    def key_id(self) -> str:
        """The id of the key."""
        return self.holder.key

    async def create_key(self) -> KeyOwner:
        """Create another key of the account."""
        made = await self.api.use_cases.accounts.keys.create(self.holder, key_request())
        return await owner_of(self.api, made.key)

    async def set_active(self, owner: KeyOwner, *, active: bool) -> wire.ListedKey:
        """Activate or deactivate a key of another owner."""
        keys = self.api.use_cases.accounts.keys
        return await keys.set_active(self.holder, owner.key_id, active=active)

    async def authenticate(self) -> str:
        """Return the account that the key opens."""
        return await self.api.use_cases.accounts.accounts.authenticate(self.key)


def key_request() -> wire.KeyRequest:
    """Return a request for a key that was not made before."""
    return wire.KeyRequest(request_id=uuid4().hex)


def account_request(name: str = "second") -> wire.AccountRequest:
    """Return a request for an account that was not made before."""
    return wire.AccountRequest(request_id=uuid4().hex, name=name)


async def owner_of(api: ApiHarness, key: str) -> KeyOwner:
    """Return the owner of a key."""
    return KeyOwner(api, key, await api.use_cases.accounts.accounts.holder(key))


async def administrator_of(api: ApiHarness) -> KeyOwner:
    """Return the owner of the first account's key."""
    return await owner_of(api, api.server.key)


async def owner_of_second_account(api: ApiHarness) -> KeyOwner:
    """Create another account; return the owner of its key."""
    administrator = await administrator_of(api)
    keys = api.use_cases.accounts.keys
    made = await keys.create_account(administrator.holder, account_request())
    return await owner_of(api, made.key)
