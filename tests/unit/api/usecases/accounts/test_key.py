"""API keys and accounts: made once, shown once, refused when they are switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from picloud_api.store.records import Account, Key
from picloud_api.usecases.accounts.account import (
    FIRST_ACCOUNT,
    Holder,
)
from picloud_model import wire
from picloud_model.errors import (
    AdministratorsOnly,
    KeyNotFound,
    KeyRefused,
    RequestRefused,
)

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def request() -> wire.KeyRequest:
    """A request for a key, never made before."""
    return wire.KeyRequest(request_id=uuid4().hex)


async def opened(api: ApiHarness, name: str = "second") -> tuple[Holder, str]:
    """Another account, and its first key."""
    administrator = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.open(
        administrator, wire.AccountRequest(request_id=uuid4().hex, name=name)
    )
    return await api.use_cases.accounts.accounts.holder(made.key), made.key


async def test_a_key_that_was_made_opens_the_account(api: ApiHarness) -> None:
    """Whoever has a key can make more, and each is known by its id."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)

    made = await api.use_cases.accounts.keys.create(holder, request())

    assert await api.use_cases.accounts.accounts.authenticate(made.key) == FIRST_ACCOUNT
    listed = await api.use_cases.accounts.keys.list(holder, wire.KeysRequest())
    ids = {api.server.key.split("_")[1]: True, made.key.split("_")[1]: False}
    assert {key.id: key.own for key in listed.keys} == ids


async def test_a_request_repeated_makes_one_key(api: ApiHarness) -> None:
    """An answer that was lost is asked for again: the same key; another account's is another."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    other, _ = await opened(api)
    asked = request()

    made = [
        await api.use_cases.accounts.keys.create(each, asked) for each in (holder, holder, other)
    ]

    assert made[0] == made[1]
    assert made[0].key != made[2].key
    assert len((await api.use_cases.accounts.keys.list(holder, wire.KeysRequest())).keys) == 2


async def test_a_repeat_makes_one_account(api: ApiHarness) -> None:
    """The account too is made once, whatever other accounts there are."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    asked = wire.AccountRequest(request_id=uuid4().hex, name="second")

    first, again = [await api.use_cases.accounts.keys.open(holder, asked) for _ in range(2)]

    assert first == again
    names = [each.name for each in (await api.use_cases.accounts.keys.accounts(holder)).accounts]
    assert names == ["main", "second"]


async def test_only_hashes_are_kept(api: ApiHarness) -> None:
    """Nobody who reads the whole store learns a secret."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    _, second = await opened(api)

    for prefix in (Key.prefix, Account.prefix):
        for entry in await api.server.ports.state.scan(prefix, ""):
            for key in (api.server.key, made.key, second):
                assert key.split("_", 2)[2].encode() not in entry.value


async def test_a_deactivated_key_is_refused_until_it_is_activated(api: ApiHarness) -> None:
    """Off and on again; a repeat changes nothing; with `active_only` it is not listed."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    name = made.key.split("_")[1]

    for _ in range(2):
        assert not (await api.use_cases.accounts.keys.switch(holder, name, active=False)).active
    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.accounts.authenticate(made.key)
    listed = await api.use_cases.accounts.keys.list(holder, wire.KeysRequest(active_only=True))
    assert name not in [key.id for key in listed.keys]
    await api.use_cases.accounts.keys.switch(holder, name, active=True)

    assert await api.use_cases.accounts.accounts.authenticate(made.key) == FIRST_ACCOUNT


async def test_a_revoked_key_is_not_made_again(api: ApiHarness) -> None:
    """The request that made it answers the same key, which stays switched off."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    asked = request()
    made = await api.use_cases.accounts.keys.create(holder, asked)
    await api.use_cases.accounts.keys.switch(holder, made.key.split("_")[1], active=False)

    await api.use_cases.accounts.keys.create(holder, asked)

    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.accounts.authenticate(made.key)


async def test_nobody_locks_the_account(api: ApiHarness) -> None:
    """The key that asks cannot switch itself off, nor can one that was switched off meanwhile."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    other = await api.use_cases.accounts.accounts.holder(made.key)

    with pytest.raises(RequestRefused, match="another key"):
        await api.use_cases.accounts.keys.switch(holder, holder.key, active=False)
    await api.use_cases.accounts.keys.switch(holder, other.key, active=False)
    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.keys.switch(other, holder.key, active=False)


async def test_another_accounts_key_is_no_key(api: ApiHarness) -> None:
    """It looks like one that never was, in every respect; and it stays as it is."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    other, key = await opened(api)

    said = []
    for name in (other.key, "0" * 12):
        with pytest.raises(KeyNotFound) as caught:
            await api.use_cases.accounts.keys.switch(holder, name, active=False)
        said.append(caught.value.message)

    assert said[0] == said[1]
    assert await api.use_cases.accounts.accounts.authenticate(key) == other.account


async def test_accounts_are_for_administrators(api: ApiHarness) -> None:
    """Keys of the first account administer; all others are told who may."""
    other, _ = await opened(api)

    with pytest.raises(AdministratorsOnly):
        await api.use_cases.accounts.keys.accounts(other)
    with pytest.raises(AdministratorsOnly):
        await api.use_cases.accounts.keys.open(
            other, wire.AccountRequest(request_id=uuid4().hex, name="third")
        )


@pytest.mark.parametrize("name", [" ", "a\nb", "\x1b[31m", "a ", "\u202ex"])
async def test_a_name_is_one_printable_line(api: ApiHarness, name: str) -> None:
    """An account's name can be shown on any terminal."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)

    with pytest.raises(RequestRefused, match="printable"):
        await api.use_cases.accounts.keys.open(
            holder, wire.AccountRequest(request_id=uuid4().hex, name=name)
        )
