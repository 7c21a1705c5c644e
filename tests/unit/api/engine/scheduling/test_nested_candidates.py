"""What a slot may run while its jobs wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from picloud_api.store.records import Ready
from picloud_model import wire

from tests.polling import eventually
from tests.unit.api.api_harness import report_of
from tests.unit.api.blocked_slots import beats, blocked, leased, made_by

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.records import BatchId

    from tests.unit.api.api_harness import ApiHarness


async def test_a_blocked_slot_runs_what_it_waits_for(api: ApiHarness) -> None:
    """Only the awaited jobs of a batch, and nothing else queued."""
    await api.submit(1)
    slot, awaiting = await blocked(api, 3, 4)
    assert await api.submit(5) == range(2, 7)

    assert await leased(api, slot, awaiting) == [3, 4]


async def test_a_blocked_slot_leases_many_short_jobs_at_once(api: ApiHarness) -> None:
    """All of them while the other slots are at work, else its share."""
    others = [await api.slot(), await api.slot()]
    await api.submit(1)
    slot, awaiting = await blocked(api, *range(2, 66))
    assert await api.submit(64) == range(2, 66)
    for expected in (1, 63):
        (lease,) = (await api.work(slot, awaiting=[awaiting])).leases
        assert len(lease.jobs) == expected
        await api.work(slot, reports=[report_of(lease, seconds=0.001)], lease=False)
    waiting = [asyncio.create_task(api.work(other, wait_s=5.0)) for other in others]
    sessions = api.server.context.slot_sessions
    await eventually(lambda: sessions.idle(slot.pool) == len(others), "the others wait")
    assert await api.submit(30) == range(66, 96)
    awaiting = msgspec.structs.replace(awaiting, jids=[(66, 95)])

    own = (await api.work(slot, awaiting=[awaiting])).leases

    assert len(own[0].jobs) <= 15
    assert all(answer.leases for answer in await asyncio.gather(*waiting))


async def test_a_blocked_slot_runs_descendants_newest_first(api: ApiHarness) -> None:
    """What the awaited jobs and the blocked one have made, at any depth; nothing of others."""
    (outer,) = await api.submit(1)
    slot, awaiting = await blocked(api, 2)
    await made_by(api, outer)
    await made_by(api, 2)
    await api.submit(1)
    await made_by(api, 3)
    await made_by(api, 4)

    assert await leased(api, slot, awaiting) == [5, 3, 2]


async def two_blocked(api: ApiHarness) -> tuple[SlotSession, list[wire.BlockedOn]]:
    """Return a slot with two jobs: the older one waits for job 3, the newer one for the older."""
    await api.submit(2)
    slot, older = await blocked(api, 3)
    (lease,) = (await api.work(slot)).leases
    newer = wire.BlockedOn(wire.AttemptRef(lease.batch, 1, lease.jobs[0].attempt), [(1, 1)])
    await api.submit(1)
    return slot, [older, newer]


async def test_what_older_jobs_wait_for_is_left_until_a_slot_has_waited(api: ApiHarness) -> None:
    """It would fill the slot with branches that end later than what has to end first; but a slot
    that has few children and nothing else to do takes it in the end.
    """
    slot, awaiting = await two_blocked(api)
    beat = wire.HeartbeatRequest(
        running=[each.job for each in awaiting], awaiting=awaiting, wait_s=0.0
    )
    await api.use_cases.slots.heartbeat.heartbeat(slot, beat)
    assert (await api.work(slot, awaiting=awaiting)).leases == []

    api.now += 2.0

    (lease,) = (await api.work(slot, awaiting=awaiting)).leases
    assert lease.first == 3


async def test_what_older_jobs_wait_for_is_taken_before_all_is_a_deadlock(api: ApiHarness) -> None:
    """If all slots are stuck, everything that could go on is tried before a job is ended."""
    slot, awaiting = await two_blocked(api)
    awaiting = [*awaiting[:1] * 4, *awaiting[1:]]
    await beats(api, slot, awaiting)
    assert slot.may_run_any

    (lease,) = (await api.work(slot, awaiting=awaiting)).leases

    assert lease.first == 3
    assert not slot.may_run_any
    assert await api.statuses(range(1, 4)) == ["processing", "processing", "queued"]


async def test_a_blocked_slot_runs_what_awaited_jobs_depend_on(api: ApiHarness) -> None:
    """An awaited job that has dependencies itself counts as a wait for these."""
    await api.submit(1)
    slot, awaiting = await blocked(api, 4)
    await api.submit(1)
    (first,) = await api.submit(1)
    request = msgspec.structs.replace(api.request(1), depends_on=[(first, first)])
    assert await api.send(request) == range(4, 5)

    assert await leased(api, slot, awaiting) == [first]


async def test_the_heartbeat_of_a_blocked_slot_tells_of_work(api: ApiHarness) -> None:
    """A blocked slot learns at once when there is something it may run."""
    await api.submit(1)
    slot, awaiting = await blocked(api, 2)
    beat = wire.HeartbeatRequest(running=[awaiting.job], awaiting=[awaiting], wait_s=5.0)
    waiting = asyncio.create_task(api.use_cases.slots.heartbeat.heartbeat(slot, beat))
    await asyncio.sleep(0.01)

    await made_by(api, 1)
    api.server.background.events.offer(*await first_ready(api))

    assert (await waiting).work


async def first_ready(api: ApiHarness) -> tuple[BatchId, Ready]:
    """Return the newest ready batch, as its event would name it."""
    found = await api.server.context.commits.view.scan(Ready.prefix)
    name, ready = max(found.items(), key=lambda item: item[1].first)
    return Ready.parse(name), ready


async def test_a_slot_that_waits_for_nothing_more_works_as_before(api: ApiHarness) -> None:
    """Once it asks without a blocked job, it gets whatever is first in the queue."""
    await api.submit(1)
    slot, awaiting = await blocked(api, 9)
    await api.submit(1)
    assert await leased(api, slot, awaiting) == []

    (lease,) = (await api.work(slot)).leases

    assert lease.first == 2
    assert not slot.blocked.awaiting
    await api.work(slot, reports=[report_of(lease)])
