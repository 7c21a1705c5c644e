"""Authentication: which credentials are accepted, at what cost, and for how long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import (
    FIRST_ACCOUNT,
    KEPT_DIGESTS,
    Accounts,
    first_key,
    new_key,
)
from picloud_model.errors import KeyRefused, Unavailable

from tests.unit.api.key_owner import administrator_of
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


@pytest.fixture
async def shared(start_api: StartApi) -> ApiHarness:
    """A server over a store that other processes write to as well."""
    return await start_api(SharedRecordingState)


def with_wrong_secret(key: str) -> str:
    """Return a key with the id of another, and a secret of its own."""
    return key[:16] + "A" * 43


@pytest.mark.parametrize("key", ["", "pk_", "pk_12_34", "sk_" + "0" * 12 + "_" + "A" * 43])
async def test_a_malformed_key_is_refused_unread(api: ApiHarness, key: str) -> None:
    """Text that is not a key costs no read of the store."""
    api.state.reads.clear()

    with pytest.raises(KeyRefused):
        await api.use_cases.accounts.accounts.authenticate(key)

    assert api.state.reads == []


async def test_every_process_refuses_a_revoked_key_within_5_seconds(shared: ApiHarness) -> None:
    """A cached key expires, even if no notification of its end arrives."""
    pepper = await shared.server.ports.secrets.get("signing/pepper")
    assert pepper is not None
    other_process = Accounts(Commits(View(shared.state), "two"), pepper, shared.clock)
    owner = await administrator_of(shared)
    created = await owner.create_key()
    assert await other_process.authenticate(created.key) == FIRST_ACCOUNT

    await owner.set_active(created, active=False)
    shared.now += 5

    with pytest.raises(KeyRefused):
        await other_process.authenticate(created.key)


async def test_a_key_in_use_is_seldom_read_again(shared: ApiHarness) -> None:
    """A thousand requests within a second cost one read of the key."""
    key = shared.server.key
    shared.now += 60
    shared.state.reads.clear()

    for _ in range(1000):
        await shared.use_cases.accounts.accounts.authenticate(key)
        shared.now += 0.001

    assert shared.state.reads == [[layout.key(key.split("_")[1])]]


async def test_a_key_is_judged_alike_however_many_others_came(api: ApiHarness) -> None:
    """What is kept of other secrets, right or wrong, opens no key, and has a bound."""
    accounts, key = api.use_cases.accounts.accounts, api.server.key
    for number in range(KEPT_DIGESTS + 10):
        accounts._digest(f"{number:043}")

    for _ in range(2):
        assert await accounts.authenticate(key) == FIRST_ACCOUNT
        with pytest.raises(KeyRefused):
            await accounts.authenticate(with_wrong_secret(key))
        with pytest.raises(KeyRefused):
            await accounts.authenticate(f"{key[:16]}{5:043}")

    assert 0 < len(accounts._digests) <= KEPT_DIGESTS


async def test_requests_at_the_same_time_share_one_read(shared: ApiHarness) -> None:
    """Waits that end together read their key once. A wrong secret meanwhile causes a read of its
    own, so that the time of its reply reveals nothing.
    """
    accounts, key = shared.use_cases.accounts.accounts, shared.server.key
    await accounts.authenticate(key)
    shared.now += 60
    shared.state.reads.clear()
    shared.state.before_read = lambda: asyncio.sleep(0.01)

    right = [accounts.authenticate(key) for _ in range(1000)]
    wrong = [accounts.authenticate(with_wrong_secret(key)) for _ in range(3)]
    answers = await asyncio.gather(*right, *wrong, return_exceptions=True)

    assert answers[:1000] == [FIRST_ACCOUNT] * 1000
    assert all(isinstance(answer, KeyRefused) for answer in answers[1000:])
    assert len(shared.state.reads) == 1 + 3


async def test_a_cancelled_request_does_not_stop_a_shared_read(shared: ApiHarness) -> None:
    """The other requests that share the read get its answer."""
    accounts, key = shared.use_cases.accounts.accounts, shared.server.key
    await accounts.authenticate(key)
    shared.now += 60
    first, second = (asyncio.create_task(accounts.authenticate(key)) for _ in range(2))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == FIRST_ACCOUNT


async def test_a_failed_read_is_not_kept(shared: ApiHarness) -> None:
    """The next request after an outage of the store reads the key again."""
    accounts, key = shared.use_cases.accounts.accounts, shared.server.key
    await accounts.authenticate(key)
    shared.now += 60

    async def fail() -> None:
        raise Unavailable

    shared.state.before_read = fail
    with pytest.raises(Unavailable):
        await accounts.authenticate(key)
    shared.state.before_read = None

    assert await accounts.authenticate(key) == FIRST_ACCOUNT


async def test_a_new_first_key_replaces_a_deactivated_one(api: ApiHarness) -> None:
    """A server that starts again never writes a key that opens nothing into the profile."""
    owner = await administrator_of(api)
    created = await owner.create_key()
    accounts, secrets = api.use_cases.accounts.accounts, api.server.ports.secrets
    assert await first_key(accounts, secrets) == owner.key

    await created.set_active(owner, active=False)
    replacement = await first_key(accounts, secrets)

    assert replacement != owner.key
    assert await accounts.authenticate(replacement) == FIRST_ACCOUNT


async def test_each_refusal_costs_one_read(api: ApiHarness) -> None:
    """A wrong secret, an unknown id and a revoked key cost the same, an accepted key nothing.

    `python -m bench.timing_of_keys` measures how long each takes.
    """
    owner = await administrator_of(api)
    revoked = await owner.create_key()
    await revoked.authenticate()
    await owner.set_active(revoked, active=False)
    accounts = api.use_cases.accounts.accounts

    for key in (with_wrong_secret(owner.key), new_key(), revoked.key) * 2:
        api.state.reads.clear()
        with pytest.raises(KeyRefused):
            await accounts.authenticate(key)
        assert len(api.state.reads) == 1

    api.state.reads.clear()
    await owner.authenticate()
    assert api.state.reads == []
