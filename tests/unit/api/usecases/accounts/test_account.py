"""Authentication: which credentials are accepted, at what cost, and for how long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import FIRST_ACCOUNT, Accounts, first_key, new_key
from picloud_model import wire
from picloud_model.errors import KeyRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_driver.state import StateEntry

    from tests.unit.api.api_harness import ApiHarness


async def test_every_process_refuses_a_revoked_key_within_5_seconds(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one process remembers of a key, another's word counts soon, bell or not."""
    monkeypatch.setattr(type(api.server.ports.state), "shared", True)
    pepper = await api.server.ports.secrets.get("signing/pepper")
    assert pepper is not None
    elsewhere = Accounts(Commits(View(api.server.ports.state), "two"), pepper, api.clock)
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    made = await api.use_cases.accounts.keys.create(holder, wire.KeyRequest(request_id=uuid4().hex))
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
    made = await api.use_cases.accounts.keys.create(holder, wire.KeyRequest(request_id=uuid4().hex))
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
    made = await api.use_cases.accounts.keys.create(holder, wire.KeyRequest(request_id=uuid4().hex))
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
