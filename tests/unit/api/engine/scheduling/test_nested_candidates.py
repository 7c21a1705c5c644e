"""What a slot may run while its jobs wait, and when it is told that nothing will come of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.store.records import Ready
from picloud_model import wire
from picloud_model.job import Cause
from picloud_model.pack import unseal

from tests.unit.api.world import ACCOUNT, ended

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.records import BatchId

    from tests.unit.api.world import World


async def made_by(world: World, parent: int, count: int = 1) -> range:
    """Jobs that a job has made."""
    request = world.request(count)
    made = await world.use_cases.jobs.submit.submit(ACCOUNT, request, b"f" * 16, parent=parent)
    await asyncio.sleep(0)
    return range(made.first, made.first + made.count)


async def blocked(
    world: World, *jids: int, timed: bool = False
) -> tuple[SlotSession, wire.BlockedOn]:
    """A slot whose only job waits for others."""
    slot = await world.slot()
    (lease,) = (await world.work(slot)).leases
    held = wire.AttemptRef(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)
    return slot, wire.BlockedOn(held, [(jid, jid) for jid in jids], timed)


async def leased(world: World, slot: SlotSession, awaiting: wire.BlockedOn) -> list[int]:
    """The jids a blocked slot is given, until it is given none."""
    found = []
    while leases := (await world.work(slot, awaiting=[awaiting])).leases:
        (lease,) = leases
        (job,) = lease.jobs
        found.append(lease.first + job.index)
    return found


async def test_a_blocked_slot_runs_what_it_waits_for(world: World) -> None:
    """Only the awaited jobs of a batch, each in a lease of its own, and nothing else queued."""
    await world.submit(1)
    slot, awaiting = await blocked(world, 3, 4)
    assert await world.submit(5) == range(2, 7)

    assert await leased(world, slot, awaiting) == [3, 4]


async def test_a_blocked_slot_runs_descendants_newest_first(world: World) -> None:
    """What awaited jobs, and the blocked one, have made, however deep; nothing of others."""
    (outer,) = await world.submit(1)
    slot, awaiting = await blocked(world, 2)
    await made_by(world, outer)
    await made_by(world, 2)
    await world.submit(1)
    await made_by(world, 3)
    await made_by(world, 4)

    assert await leased(world, slot, awaiting) == [5, 3, 2]


async def two_blocked(world: World) -> tuple[SlotSession, list[wire.BlockedOn]]:
    """A slot with two jobs: the older one waits for job 3, the newer one for the older."""
    await world.submit(2)
    slot, older = await blocked(world, 3)
    (lease,) = (await world.work(slot)).leases
    newer = wire.BlockedOn(wire.AttemptRef(lease.batch, 1, lease.jobs[0].attempt), [(1, 1)])
    await world.submit(1)
    return slot, [older, newer]


async def test_what_older_jobs_wait_for_is_left_until_a_slot_has_waited(world: World) -> None:
    """It would fill the slot with branches that end later than what has to end first; and yet a
    slot that has few children and nothing else to do takes it in the end.
    """
    slot, awaiting = await two_blocked(world)
    beat = wire.HeartbeatRequest(
        running=[each.job for each in awaiting], awaiting=awaiting, wait_s=0.0
    )
    await world.use_cases.slots.heartbeat.heartbeat(slot, beat)
    assert (await world.work(slot, awaiting=awaiting)).leases == []

    world.now += 2.0

    (lease,) = (await world.work(slot, awaiting=awaiting)).leases
    assert lease.first == 3


async def test_what_older_jobs_wait_for_is_taken_before_all_is_a_deadlock(world: World) -> None:
    """Where everything is stuck, whatever could go on is tried before a job is ended."""
    slot, awaiting = await two_blocked(world)
    awaiting = [*awaiting[:1] * 4, *awaiting[1:]]
    await beats(world, slot, awaiting)
    assert slot.may_run_any

    (lease,) = (await world.work(slot, awaiting=awaiting)).leases

    assert lease.first == 3
    assert not slot.may_run_any
    assert await world.statuses(range(1, 4)) == ["processing", "processing", "queued"]


async def test_a_blocked_slot_runs_what_awaited_jobs_depend_on(world: World) -> None:
    """A job that waits for its dependencies is as good as a job that waits for these."""
    await world.submit(1)
    slot, awaiting = await blocked(world, 4)
    await world.submit(1)
    (first,) = await world.submit(1)
    request = msgspec.structs.replace(world.request(1), depends_on=[(first, first)])
    assert await world.send(request) == range(4, 5)

    assert await leased(world, slot, awaiting) == [first]


async def test_the_heartbeat_of_a_blocked_slot_tells_of_work(world: World) -> None:
    """A slot that waits hears at once when there is something it may run."""
    await world.submit(1)
    slot, awaiting = await blocked(world, 2)
    beat = wire.HeartbeatRequest(running=[awaiting.job], awaiting=[awaiting], wait_s=5.0)
    waiting = asyncio.create_task(world.use_cases.slots.heartbeat.heartbeat(slot, beat))
    await asyncio.sleep(0.01)

    await made_by(world, 1)
    world.server.background.events.offer(*await first_ready(world))

    assert (await waiting).work


async def first_ready(world: World) -> tuple[BatchId, Ready]:
    """The newest batch that is ready, as the bell would tell of it."""
    found = await world.server.context.commits.view.scan(Ready.prefix)
    name, ready = max(found.items(), key=lambda item: item[1].first)
    return Ready.parse(name), ready


async def beats(world: World, slot: SlotSession, awaiting: list[wire.BlockedOn]) -> None:
    """The slot says that it is blocked, for longer than anybody has patience."""
    for _ in range(4):
        running = [each.job for each in awaiting]
        full = len(awaiting) >= wire.MAX_BLOCKED_JOBS
        beat = wire.HeartbeatRequest(running=running, awaiting=awaiting, full=full, wait_s=0.0)
        await world.use_cases.slots.heartbeat.heartbeat(slot, beat)
        world.now += 4.0
    await world.server.background.deadlock.resolve()


async def test_jobs_that_wait_for_each_other_are_a_deadlock(world: World) -> None:
    """Where every slot waits and nothing can be leased, the newest blocked job is an error."""
    jids = await world.submit(1)
    slot, awaiting = await blocked(world, 1)

    await beats(world, slot, [awaiting])

    outcome = (await world.outcomes(jids))[1]
    assert (outcome.status, outcome.cause) == ("error", Cause.DEADLOCK)
    assert outcome.payload is not None
    told = wire.decode(bytes(unseal(outcome.payload)), wire.Failure)
    assert told.message.startswith("deadlock: the job waits for job 1")


async def test_a_full_slot_is_a_deadlock_though_others_work(world: World) -> None:
    """A slot that has set aside as many as it can, for a job that nobody runs."""
    await world.submit(33)
    slot = await world.slot()
    waits = []
    for number in range(32):
        (lease,) = (await world.work(slot)).leases
        held = wire.AttemptRef(lease.batch, lease.jobs[0].index, 1)
        waits.append(wire.BlockedOn(held, [(number + 2, number + 2)]))
    await world.submit(1)
    await world.slot()

    await beats(world, slot, waits)

    assert await world.statuses(range(31, 34)) == ["processing", "error", "queued"]


@pytest.mark.parametrize("why", ["timed", "works", "young"])
async def test_what_may_go_on_is_no_deadlock(world: World, why: str) -> None:
    """A wait with a timeout, a slot that runs another job, and a wait that is young are left be."""
    jids = await world.submit(2)
    slot, awaiting = await blocked(world, 1, timed=why == "timed")
    if why == "works":
        await world.work(await world.slot())
    if why == "young":
        await world.server.background.deadlock.resolve()
    else:
        await beats(world, slot, [awaiting])

    assert "error" not in await world.statuses(jids)


async def test_a_slot_that_waits_for_nothing_more_works_as_before(world: World) -> None:
    """Once it asks without waiting for anything, it is given whatever is first."""
    await world.submit(1)
    slot, awaiting = await blocked(world, 9)
    await world.submit(1)
    assert await leased(world, slot, awaiting) == []

    (lease,) = (await world.work(slot)).leases

    assert lease.first == 2
    assert not slot.blocked.awaiting
    await world.work(slot, reports=[ended(lease)])
