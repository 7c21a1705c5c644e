"""API keys and accounts: created once, shown once, deactivated and activated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.store.records import Account, Key
from picloud_api.usecases.accounts.account import FIRST_ACCOUNT
from picloud_model import wire
from picloud_model.errors import AdministratorsOnly, KeyNotFound, KeyRefused, RequestRefused

from tests.unit.api.key_owner import (
    account_request,
    administrator_of,
    key_request,
    owner_of_second_account,
)

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_a_new_key_opens_the_account(api: ApiHarness) -> None:
    """The owner of a key can create more, and the list marks the key in use."""
    owner = await administrator_of(api)

    created = await owner.create_key()

    assert await created.authenticate() == FIRST_ACCOUNT
    listed = await api.use_cases.accounts.keys.list(owner.holder, wire.KeysRequest())
    assert {key.id: key.own for key in listed.keys} == {owner.key_id: True, created.key_id: False}


async def test_a_repeated_request_creates_one_key(api: ApiHarness) -> None:
    """If a reply is lost, the repeated request returns the same key; another account's differs."""
    keys, request = api.use_cases.accounts.keys, key_request()
    owner, other = await administrator_of(api), await owner_of_second_account(api)

    made = [await keys.create(each.holder, request) for each in (owner, owner, other)]

    assert made[0] == made[1]
    assert made[0].key != made[2].key
    assert len((await keys.list(owner.holder, wire.KeysRequest())).keys) == 2


async def test_a_repeated_request_creates_one_account(api: ApiHarness) -> None:
    """An account is created once, even if others are created in between."""
    keys, request = api.use_cases.accounts.keys, account_request("third")
    owner = await administrator_of(api)

    first = await keys.create_account(owner.holder, request)
    await owner_of_second_account(api)
    again = await keys.create_account(owner.holder, request)

    assert first == again
    names = {each.name for each in (await keys.accounts(owner.holder)).accounts}
    assert names == {"main", "second", "third"}


async def test_only_hashes_are_stored(api: ApiHarness) -> None:
    """A reader of the whole store learns no secret."""
    owner = await administrator_of(api)
    owners = [owner, await owner.create_key(), await owner_of_second_account(api)]

    for prefix in (Key.prefix, Account.prefix):
        for entry in await api.server.ports.state.scan(prefix, ""):
            for each in owners:
                assert each.key.split("_", 2)[2].encode() not in entry.value


async def test_a_deactivated_key_is_refused_until_it_is_activated(api: ApiHarness) -> None:
    """Deactivating twice changes nothing; `active_only` leaves the key out of the list."""
    owner = await administrator_of(api)
    created = await owner.create_key()

    for _ in range(2):
        assert not (await owner.set_active(created, active=False)).active
    with pytest.raises(KeyRefused):
        await created.authenticate()
    request = wire.KeysRequest(active_only=True)
    listed = await api.use_cases.accounts.keys.list(owner.holder, request)
    assert created.key_id not in [key.id for key in listed.keys]
    await owner.set_active(created, active=True)

    assert await created.authenticate() == FIRST_ACCOUNT


async def test_a_repeated_request_does_not_activate_a_key(api: ApiHarness) -> None:
    """The request that created a key returns it again, but the key stays deactivated."""
    keys, request = api.use_cases.accounts.keys, key_request()
    owner = await administrator_of(api)
    made = await keys.create(owner.holder, request)
    await keys.set_active(owner.holder, made.key.split("_")[1], active=False)

    again = await keys.create(owner.holder, request)

    assert again == made
    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.accounts.authenticate(made.key)


async def test_an_account_keeps_an_active_key(api: ApiHarness) -> None:
    """A key cannot deactivate itself, and a deactivated key can deactivate no other."""
    owner = await administrator_of(api)
    created = await owner.create_key()

    with pytest.raises(RequestRefused, match="another key"):
        await owner.set_active(owner, active=False)
    await owner.set_active(created, active=False)
    with pytest.raises(KeyRefused):
        await created.set_active(owner, active=False)


async def test_a_key_of_another_account_does_not_exist(api: ApiHarness) -> None:
    """It looks like a key that never existed, and it stays active."""
    owner, other = await administrator_of(api), await owner_of_second_account(api)

    messages = []
    for key_id in (other.key_id, "0" * 12):
        with pytest.raises(KeyNotFound) as error:
            await api.use_cases.accounts.keys.set_active(owner.holder, key_id, active=False)
        messages.append(error.value.message)

    assert messages[0] == messages[1]
    assert await other.authenticate() == other.holder.account


async def test_accounts_are_for_administrators(api: ApiHarness) -> None:
    """Only keys of the first account may list and create accounts."""
    keys, other = api.use_cases.accounts.keys, await owner_of_second_account(api)

    with pytest.raises(AdministratorsOnly):
        await keys.accounts(other.holder)
    with pytest.raises(AdministratorsOnly):
        await keys.create_account(other.holder, account_request("third"))


@pytest.mark.parametrize("name", [" ", "a\nb", "\x1b[31m", "a ", "\u202ex"])
async def test_a_name_is_one_printable_line(api: ApiHarness, name: str) -> None:
    """An account's name can be shown on any terminal."""
    owner = await administrator_of(api)

    with pytest.raises(RequestRefused, match="printable"):
        await api.use_cases.accounts.keys.create_account(owner.holder, account_request(name))
