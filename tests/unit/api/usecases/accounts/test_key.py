"""API keys and accounts: made once, shown once, refused when they are switched off."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.records import Account, Key
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import (
    FIRST_ACCOUNT,
    Accounts,
    Holder,
    first_key,
    new_key,
)
from picloud_model import wire
from picloud_model.errors import (
    AdministratorsOnly,
    KeyNotFound,
    KeyRefused,
    RequestRefused,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.state import StateEntry

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


async def test_every_process_refuses_a_revoked_key_within_5_seconds(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one process remembers of a key, another's word counts soon, bell or not."""
    monkeypatch.setattr(type(api.server.ports.state), "shared", True)
    pepper = await api.server.ports.secrets.get("signing/pepper")
    assert pepper is not None
    elsewhere = Accounts(Commits(View(api.server.ports.state), "two"), pepper, api.clock)
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    assert await elsewhere.authenticate(made.key) == FIRST_ACCOUNT

    await api.use_cases.accounts.keys.switch(holder, made.key.split("_")[1], active=False)
    api.now += 5

    with pytest.raises(KeyRefused):
        await elsewhere.authenticate(made.key)


async def test_a_key_in_use_is_read_again_seldom(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a request costs does not grow by a read of the store."""
    monkeypatch.setattr(type(api.server.ports.state), "shared", True)
    read = []
    state = api.server.context.commits.view.state
    get = state.get

    async def counted(keys: Sequence[str]) -> Mapping[str, StateEntry]:
        read.extend(keys)
        return await get(keys)

    monkeypatch.setattr(state, "get", counted)
    for _ in range(1000):
        await api.use_cases.accounts.accounts.authenticate(api.server.key)
        api.now += 0.001

    assert read == [layout.key(api.server.key.split("_")[1])]


async def test_a_thousand_who_ask_at_once_share_one_look(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waits that end together read their key once; a wrong secret meanwhile reads for itself.

    So it learns nothing from how long that takes.
    """
    monkeypatch.setattr(type(api.server.ports.state), "shared", True)
    accounts, key = api.server.use_cases.accounts.accounts, api.server.key
    await accounts.authenticate(key)
    api.now += 60
    read = []
    state = api.server.context.commits.view.state
    get = state.get

    async def counted(keys: Sequence[str]) -> Mapping[str, StateEntry]:
        read.extend(keys)
        await asyncio.sleep(0.01)
        return await get(keys)

    monkeypatch.setattr(state, "get", counted)
    asking = [accounts.authenticate(key) for _ in range(1000)]
    wrong = [accounts.authenticate(key[:16] + "A" * 43) for _ in range(3)]
    asked = await asyncio.gather(*asking, *wrong, return_exceptions=True)

    assert asked[:1000] == [FIRST_ACCOUNT] * 1000
    assert all(isinstance(refused, KeyRefused) for refused in asked[1000:])
    assert len(read) == 1 + 3


async def test_whoever_gives_up_takes_the_look_from_nobody(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of those who share a look may be cancelled; a look that fails is not kept."""
    monkeypatch.setattr(type(api.server.ports.state), "shared", True)
    accounts, key = api.server.use_cases.accounts.accounts, api.server.key
    await accounts.authenticate(key)
    api.now += 60
    first, second = (asyncio.create_task(accounts.authenticate(key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == FIRST_ACCOUNT

    async def failing(_: Sequence[str]) -> Mapping[str, StateEntry]:
        raise Unavailable

    api.now += 60
    with monkeypatch.context() as broken, pytest.raises(Unavailable):
        broken.setattr(api.server.context.commits.view.state, "get", failing)
        await accounts.authenticate(key)
    assert await accounts.authenticate(key) == FIRST_ACCOUNT


async def test_a_new_first_key_replaces_one_that_was_deactivated(api: ApiHarness) -> None:
    """A server that starts again never gives out a key that opens nothing."""
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    again = await first_key(api.server.use_cases.accounts.accounts, api.server.ports.secrets)
    assert again == api.server.key

    await api.use_cases.accounts.keys.switch(
        await api.use_cases.accounts.accounts.holder(made.key), holder.key, active=False
    )
    fresh = await first_key(api.server.use_cases.accounts.accounts, api.server.ports.secrets)

    assert fresh != api.server.key
    assert await api.use_cases.accounts.accounts.authenticate(fresh) == FIRST_ACCOUNT


async def test_memory_refuses_nobody(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong secret, an unknown id and a revoked key cost the same: one read of the store.

    How long that takes is measured by `python -m bench.timing_of_keys`.
    """
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, request())
    await api.use_cases.accounts.accounts.authenticate(made.key)
    await api.use_cases.accounts.keys.switch(holder, made.key.split("_")[1], active=False)
    read = []
    state = api.server.context.commits.view.state
    get = state.get

    async def counted(keys: Sequence[str]) -> Mapping[str, StateEntry]:
        read.append(len(keys))
        return await get(keys)

    monkeypatch.setattr(state, "get", counted)
    wrong, unknown = api.server.key[:16] + "A" * 43, new_key()
    for key in (wrong, unknown, made.key, wrong, unknown, made.key):
        with pytest.raises(KeyRefused):
            await api.use_cases.accounts.accounts.authenticate(key)
        assert read.pop() == 1
        assert not read

    await api.use_cases.accounts.accounts.authenticate(api.server.key)
    assert not read
