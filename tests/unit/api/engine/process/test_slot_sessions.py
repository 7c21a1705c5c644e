"""Slot sessions: which slot waits, which is woken, and how many are still to come."""

from __future__ import annotations

import asyncio

import msgspec
from picloud_api.engine.process.slot_sessions import Blocked, SlotSession, SlotSessions
from picloud_api.store.records import Slot
from picloud_driver.scheduler import Pool
from picloud_model.wire import AttemptRef, BlockedOn, HeartbeatRequest

POOL, OTHER, LONE = (Pool("a1", core_type, 1) for core_type in ("c1", "m1", "c2"))
JOB = AttemptRef("b" * 32, 0, 1)
BLOCKED_ON = BlockedOn(JOB, [(2, 2)])


def session(number: int, pool: Pool = POOL) -> SlotSession:
    """Return the session of a slot that has just called."""
    slot = Slot(number=number, pool=pool, burst="b", place="p", started_at=0.0, seen_at=0.0)
    return SlotSession(slot, 0.0)


async def test_the_last_to_wait_is_woken_first() -> None:
    """It has the warmest caches; as many are woken as there is work for."""
    sessions = SlotSessions()
    one, two, three = (sessions.add(session(number)) for number in (1, 2, 3))
    with sessions.waiting(one), sessions.waiting(two), sessions.waiting(three):
        assert sessions.idle(POOL) == 3

        sessions.wake(POOL, 2)

        assert [each.idle for each in (one, two, three)] == [True, False, False]
        assert sessions.idle(POOL) == 1
    assert sessions.idle(POOL) == 0


async def test_a_wait_ends_when_it_is_woken_or_its_time_is_over() -> None:
    """Only a slot that found no work counts as parked."""
    sessions = SlotSessions()
    slot = sessions.add(session(1))
    with sessions.waiting(slot):
        assert list(sessions.parked(POOL)) == []
        waiting = asyncio.create_task(sessions.wait(slot, 10.0))
        await asyncio.sleep(0)
        assert list(sessions.parked(POOL)) == [slot]
        sessions.wake(POOL, 1)
        await waiting
        assert not slot.parked
    with sessions.waiting(slot):
        await sessions.wait(slot, 0.001)
        assert not slot.parked
        assert not slot.idle


def test_a_registered_slot_is_no_longer_starting() -> None:
    """One that takes too long does not count either."""
    sessions = SlotSessions()
    sessions.expect(POOL, 2, until=10.0)
    assert sessions.starting(POOL, 0.0) == 2

    sessions.add(session(1))
    sessions.add(session(1))

    assert sessions.starting(POOL, 0.0) == 1
    assert sessions.starting(POOL, 10.0) == 0
    sessions.give_up(POOL)
    assert sessions.starting(POOL, 0.0) == 0


async def test_slots_of_other_pools_are_dismissed() -> None:
    """Those that wait for work end; those that work, and those of the pool itself, do not."""
    sessions = SlotSessions()
    own, idle, busy = session(1), session(2, OTHER), session(3, OTHER)
    for each in (own, idle, busy):
        sessions.add(each)
    with sessions.waiting(own), sessions.waiting(idle):
        sessions.dismiss_others(POOL, 4, lambda _: 0)

    assert [each.dismissed for each in (own, idle, busy)] == [False, True, False]


async def test_reserved_slots_of_other_accounts_are_not_dismissed() -> None:
    """As many stay as are reserved; the account that has reserved them may use their room."""
    sessions = SlotSessions()
    one, two = (sessions.add(session(number, OTHER)) for number in (1, 2))
    with sessions.waiting(one), sessions.waiting(two):
        sessions.dismiss_others(Pool("a2", "c1", 1), 2, {OTHER: 1}.__getitem__)
        assert [each.dismissed for each in (one, two)] == [True, False]
        sessions.dismiss_others(POOL, 1, {OTHER: 1}.__getitem__)
        assert two.dismissed


async def test_no_more_slots_are_dismissed_than_make_room() -> None:
    """The last slot of a pool stays if another pool has more; the last to wait is the warmest."""
    sessions = SlotSessions()
    only, first, second = session(1, LONE), session(2, OTHER), session(3, OTHER)
    for each in (only, first, second):
        sessions.add(each)
    dismissed: list[list[bool]] = []
    with sessions.waiting(only), sessions.waiting(first), sessions.waiting(second):
        for _ in range(2):
            sessions.dismiss_others(POOL, 1, lambda _: 0)
            dismissed.append([each.dismissed for each in (only, first, second)])

    assert dismissed[0] == [False, True, False]
    assert sum(dismissed[1]) == 2


async def test_new_work_wakes_the_heartbeats_of_blocked_slots() -> None:
    """They may run what their jobs wait for."""
    sessions = SlotSessions()
    slot = sessions.add(session(1))
    with sessions.listening(slot):
        assert sessions.waits("a1")
        assert not sessions.waits("a2")
        sessions.wake(POOL, 1)
    assert slot.heartbeat_wakeup.is_set()
    assert not sessions.waits("a1")


def test_a_slot_that_leaves_is_woken() -> None:
    """Its long polls end, and it is known no longer."""
    sessions = SlotSessions()
    slot = sessions.add(session(1))

    assert sessions.remove(1) is slot
    assert slot.heartbeat_wakeup.is_set()
    assert sessions.get(1) is None
    assert sessions.remove(1) is None
    assert sessions.count(POOL) == 0


def test_a_new_request_ends_the_turn_of_the_one_before() -> None:
    """What was handed is returned once."""
    slot = session(1)

    assert [slot.begin_turn(), slot.begin_turn()] == [1, 2]
    assert slot.take() == []


def test_a_slot_is_blocked_since_its_jobs_are_the_same() -> None:
    """A heartbeat that says the same counts on; another job begins anew."""
    request = HeartbeatRequest(running=[JOB], awaiting=[BLOCKED_ON], full=True, wait_s=0.0)

    first = Blocked().after(request, 5.0)
    again = first.after(request, 8.0)
    busy = again.after(msgspec.structs.replace(request, running=[JOB, JOB]), 9.0)

    assert (first.since, first.reported_at) == (5.0, 5.0)
    assert (again.since, again.reported_at) == (5.0, 8.0)
    assert again.idle
    assert again.full
    assert not busy.idle
    assert busy.since == 9.0
