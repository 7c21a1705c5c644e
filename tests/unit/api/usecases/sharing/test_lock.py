"""Locks: held by so many at once, gone with their holder, and fenced."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from picloud_api.usecases.accounts.account import Caller
from picloud_api.usecases.sharing.lock import HELD_S, LOOK_S, FenceCounter
from picloud_model.errors import NotFound, RequestConflict, TokenRefused
from picloud_model.token import JobToken
from picloud_model.wire.lock import (
    MAX_LOCKS,
    AcquireLockRequest,
    HeldLock,
    ReleaseLockRequest,
    RenewLocksRequest,
)

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

CLIENT = Caller(ACCOUNT)


def asked(name: str = "db", *, tokens: int = 1, timeout_s: float = 0.0) -> AcquireLockRequest:
    """Return a request for a lock, by a new holder."""
    return AcquireLockRequest(name=name, hold=uuid4().hex, tokens=tokens, timeout_s=timeout_s)


def held(*requests: AcquireLockRequest) -> RenewLocksRequest:
    """Return a request that renews what was taken."""
    return RenewLocksRequest(locks=[HeldLock(each.name, each.hold) for each in requests])


def given_back(request: AcquireLockRequest) -> ReleaseLockRequest:
    """Return a request that releases what was taken."""
    return ReleaseLockRequest(name=request.name, hold=request.hold)


async def fence(api: ApiHarness, request: AcquireLockRequest, caller: Caller = CLIENT) -> int:
    """Take a lock; return the fence number."""
    return (await api.use_cases.sharing.locks.acquire(caller, request)).fence


def test_what_dies_holds_a_lock_for_less_than_ten_seconds() -> None:
    """A program that was killed renews nothing, and the next one looks for that while it waits."""
    assert HELD_S + LOOK_S < 10


async def test_a_lock_has_one_holder_and_growing_fence_numbers(api: ApiHarness) -> None:
    """A second holder gets it once it is released; a repeated request finds what it has."""
    locks = api.use_cases.sharing.locks
    first, second, other = asked(), asked(), asked("other")

    assert await fence(api, first) == await fence(api, first) == 1
    assert await fence(api, second) == 0
    assert await fence(api, other) == 2
    for _ in range(2):
        await locks.release(ACCOUNT, given_back(first))
    assert await fence(api, second) == 3
    assert [each.name for each in (await locks.list(ACCOUNT)).locks] == ["db", "other"]


async def test_a_semaphore_has_as_many_holders_as_tokens(api: ApiHarness) -> None:
    """While it is held, all name the same number of tokens; then another number is possible."""
    locks = api.use_cases.sharing.locks
    taken = [asked(tokens=2) for _ in range(3)]

    assert [await fence(api, each) for each in taken] == [1, 2, 0]
    with pytest.raises(RequestConflict, match="'db' is held with 2 tokens, not 1 token: use the"):
        await fence(api, asked())
    await locks.release(ACCOUNT, given_back(taken[0]))
    assert await fence(api, taken[2]) == 3
    await locks.break_lock(ACCOUNT, "db")
    assert (await locks.renew(ACCOUNT, held(*taken))).lost == [0, 1, 2]
    assert await fence(api, asked()) == 4


async def test_only_what_is_held_can_be_broken(api: ApiHarness) -> None:
    """Another name is refused with the nearest one; a holder that has died holds nothing."""
    locks = api.use_cases.sharing.locks
    await fence(api, asked())

    with pytest.raises(NotFound, match="No lock 'dbb' is held in your account; did you mean 'db'"):
        await locks.break_lock(ACCOUNT, "dbb")
    api.now += HELD_S
    with pytest.raises(NotFound, match="'db' is held in your account: see `picloud lock list`"):
        await locks.break_lock(ACCOUNT, "db")
    assert await fence(api, asked()) == 2


async def test_requests_wait_in_line_until_it_is_free(api: ApiHarness) -> None:
    """The one that waits longest is woken by the release, and no other is given the lock."""
    locks = api.use_cases.sharing.locks
    first, second, third = asked(), asked(timeout_s=20), asked(timeout_s=20)
    await fence(api, first)
    waiting = [asyncio.create_task(fence(api, each)) for each in (second, third)]
    await asyncio.sleep(0)
    assert await fence(api, asked()) == 0

    await locks.release(ACCOUNT, given_back(first))
    assert await waiting[0] == 2
    assert not waiting[1].done()
    await locks.release(ACCOUNT, given_back(second))
    assert await waiting[1] == 3


async def test_a_client_that_renews_nothing_loses_it(api: ApiHarness) -> None:
    """Six seconds after the last renewal the next one gets it; what was lost stays lost."""
    locks = api.use_cases.sharing.locks
    first, second = asked(), asked()
    await fence(api, first)
    api.now += HELD_S - 1
    assert (await locks.renew(ACCOUNT, held(first, second))).lost == [1]
    api.now += HELD_S - 1
    assert await fence(api, second) == 0

    api.now += 1
    assert (await locks.list(ACCOUNT)).locks == []
    assert await fence(api, second) == 2
    assert (await locks.renew(ACCOUNT, held(first, second))).lost == [0]


async def test_a_late_renewal_keeps_what_nobody_has_wanted(api: ApiHarness) -> None:
    """After a pause of the client or the server a lock is held on, with the same fence number."""
    first = asked()
    await fence(api, first)
    api.now += 60

    assert (await api.use_cases.sharing.locks.renew(ACCOUNT, held(first))).lost == []
    assert await fence(api, asked()) == 0
    assert await fence(api, first) == 1


async def test_a_job_holds_it_as_long_as_it_runs(api: ApiHarness) -> None:
    """No renewal is needed; when the job ends, the lock is free, and the job's token takes none."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    caller = Caller(ACCOUNT, jid, JobToken(ACCOUNT, slot.number, jid, 1))
    mine = asked()
    assert await fence(api, mine, caller) == 1
    api.now += 3600
    assert await fence(api, asked()) == 0
    assert (await api.use_cases.sharing.locks.renew(ACCOUNT, held(mine))).lost == []
    (listed,) = (await api.use_cases.sharing.locks.list(ACCOUNT)).locks
    assert [each.jid for each in listed.holders] == [jid]

    await api.work(slot, reports=[report_of(lease)])

    assert (await api.use_cases.sharing.locks.renew(ACCOUNT, held(mine))).lost == [0]
    assert await fence(api, asked()) == 2
    with pytest.raises(TokenRefused):
        await fence(api, asked("another"), caller)


async def test_a_lost_slot_frees_what_its_job_held(api: ApiHarness) -> None:
    """A request that waits finds out without a release; the next attempt is another holder."""
    (jid,) = await api.submit(1)
    slot = await api.slot()
    await api.work(slot)
    caller = Caller(ACCOUNT, jid, JobToken(ACCOUNT, slot.number, jid, 1))
    mine = asked()
    await fence(api, mine, caller)
    waiting = asyncio.create_task(fence(api, asked(timeout_s=20)))
    await asyncio.sleep(0)

    await api.lose(slot)

    assert await waiting == 2
    assert (await api.use_cases.sharing.locks.renew(ACCOUNT, held(mine))).lost == [0]


async def test_fence_numbers_survive_a_restart(api: ApiHarness) -> None:
    """What is held before a restart is held after it, and later numbers are higher."""
    first = asked()
    await fence(api, first)

    await api.stop()
    await api.start()

    assert await fence(api, asked()) == 0
    assert await fence(api, first) == 1
    await api.use_cases.sharing.locks.release(ACCOUNT, given_back(first))
    assert await fence(api, asked()) == 2


async def test_an_account_holds_so_many_locks_at_most(api: ApiHarness) -> None:
    """Locks of dead holders make room; of other accounts nothing counts or is seen."""
    commits = api.server.context.commits

    async def fill(draft: object) -> None:
        draft.put(f"fences/{ACCOUNT}", FenceCounter(7, MAX_LOCKS))  # type: ignore[attr-defined]

    await fence(api, asked("a"))
    await commits.run(fill)
    api.now += HELD_S
    assert await fence(api, asked("b")) == 8
    assert await fence(api, asked("b"), Caller("a0000002")) == 1
    assert (await commits.view.get(f"fences/{ACCOUNT}")).locks == 1


async def test_a_server_that_stops_ends_waits(api: ApiHarness) -> None:
    """A request that waits is answered at once, and its client asks the next server."""
    await fence(api, asked())
    waiting = asyncio.create_task(fence(api, asked(timeout_s=30)))
    watchers = api.server.context.batch_watchers
    await eventually(lambda: watchers.watched(f"locks/{ACCOUNT}/db"), "a request that waits")

    watchers.close()

    assert await waiting == 0
