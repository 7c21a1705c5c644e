"""Work: leases, reports, fences, losses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.scheduling.leasing import LeasePlanner
from picloud_api.store.records import Slot
from picloud_api.usecases.slots.work import SlotWork
from picloud_model import wire
from picloud_model.errors import JobNotFound, SlotRefused
from picloud_model.job import Cause, State

from tests.unit.api.world import ACCOUNT, ended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.state import Operation

    from tests.unit.api.world import World


async def test_a_queued_call_costs_three_transactions(world: World) -> None:
    """Where no slot waits, submit, lease and report are one transaction each, nothing else."""
    slot = await world.slot()
    before = world.server.context.commits.transactions

    jids = await world.submit(1)
    answer = await world.work(slot)
    await world.work(slot, reports=[ended(answer.leases[0])])

    assert await world.statuses(jids) == ["done"]
    assert world.server.context.commits.transactions - before == 3


async def test_a_slot_that_waits_is_woken_by_a_submit(world: World) -> None:
    """A long poll for work returns with the lease as soon as a batch is announced."""
    slot = await world.slot()
    waiting = asyncio.create_task(world.work(slot, wait_s=10.0))
    await asyncio.sleep(0)

    await world.submit(1)

    async with asyncio.timeout(1):
        assert len((await waiting).leases[0].jobs) == 1


async def test_an_unmeasured_function_is_leased_one_job(world: World) -> None:
    """Nobody knows how long a new function takes, so a slot gets a single job of it."""
    slot = await world.slot()
    await world.submit(1000)

    assert len((await world.work(slot)).leases[0].jobs) == 1


async def test_a_lease_is_about_100_ms_of_work(world: World) -> None:
    """Once a function is measured, a lease holds what fills 100 ms."""
    slot = await world.slot()
    await world.submit(1000)
    first = (await world.work(slot)).leases[0]

    second = await world.work(slot, reports=[ended(first, seconds=0.01)])

    assert len(second.leases[0].jobs) == 10


async def test_two_slots_share_a_map(world: World) -> None:
    """No slot takes the whole of a short map while another waits."""
    slots = [await world.slot(), await world.slot()]
    await world.submit(2)
    first = (await world.work(slots[0])).leases[0]
    await world.work(slots[0], reports=[ended(first)], lease=False)
    await world.submit(100)

    assert len((await world.work(slots[0])).leases[0].jobs) <= 50


async def test_small_batches_of_one_function_are_leased_together(world: World) -> None:
    """Many calls of a fast function travel in one answer."""
    slot = await world.slot()
    await world.submit(1)
    first = (await world.work(slot)).leases[0]
    for _ in range(20):
        await world.submit(1)

    answer = await world.work(slot, reports=[ended(first)])

    assert len(answer.leases) == 20


async def test_priority_decides_then_age(world: World) -> None:
    """Lower priority numbers run first, older batches first among equals."""
    slot = await world.slot()
    late, early, urgent = [
        await world.submit(1, function=name, priority=priority)
        for name, priority in (("a", 7), ("b", 5), ("c", 1))
    ]

    order = [(await world.work(slot)).leases[0].first for _ in range(3)]

    assert order == [urgent[0], early[0], late[0]]


async def test_a_stale_report_is_fenced(world: World) -> None:
    """The report of an attempt that was lost publishes nothing; the new attempt's does."""
    old, new = await world.slot(), await world.slot()
    jids = await world.submit(1)
    stale = ended((await world.work(old)).leases[0])
    await world.lose(old)
    fresh = ended((await world.work(new)).leases[0], State.ERROR)

    with pytest.raises(SlotRefused):
        await world.use_cases.slots.slots.recognise("forged")
    await world.work(old, reports=[stale], lease=False)
    assert await world.statuses(jids) == ["queued"]
    await world.work(new, reports=[fresh], lease=False)
    await world.work(old, reports=[stale], lease=False)

    assert await world.statuses(jids) == ["error"]


async def test_a_repeated_report_changes_nothing(world: World) -> None:
    """A report sent twice, as its answer was lost, publishes one result."""
    slot = await world.slot()
    jids = await world.submit(3)
    report = ended((await world.work(slot)).leases[0])
    await world.work(slot, reports=[report], lease=False)
    first = await world.outcomes(jids)

    await world.work(slot, reports=[report], lease=False)

    assert await world.outcomes(jids) == first


async def test_returned_jobs_are_leased_again_uncharged(world: World) -> None:
    """A job given back before it began goes to the next slot, however often."""
    slot = await world.slot()
    jids = await world.submit(1)
    for _ in range(10):
        lease = (await world.work(slot)).leases[0]
        job = lease.jobs[0]
        held = wire.AttemptRef(lease.batch, job.index, job.attempt)
        await world.work(slot, returned=[held], lease=False)

    lease = (await world.work(slot)).leases[0]
    await world.work(slot, reports=[ended(lease)], lease=False)

    assert await world.statuses(jids) == ["done"]


async def test_a_job_its_page_does_not_have_is_lost(world: World) -> None:
    """A heartbeat may name any number: what no job has is said to be lost, as what another has."""
    slot = await world.slot()
    await world.submit(1)
    lease = (await world.work(slot)).leases[0]
    named = [wire.AttemptRef(lease.batch, index, 1) for index in (1, 999, 1000)]

    answer = await world.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=named, holding=named, wait_s=0)
    )

    assert answer.lost == named * 2


async def test_an_answer_that_got_lost_returns_its_leases(world: World) -> None:
    """With `resync`, whatever the slot does not hold goes back and comes again at once."""
    slot = await world.slot()
    await world.submit(1)
    lost = (await world.work(slot)).leases[0]

    again = (await world.work(slot, resync=True)).leases[0]

    assert again.jobs[0].index == lost.jobs[0].index
    assert again.jobs[0].attempt == lost.jobs[0].attempt + 1


async def test_a_poison_job_charges_only_itself(world: World) -> None:
    """After three lost slots a job is an error; its companions in the first lease are done."""
    first = await world.slot()
    await world.submit(1)
    warm = (await world.work(first)).leases[0]
    await world.work(first, reports=[ended(warm)], lease=False)
    jids = await world.submit(5)
    lease = (await world.work(first)).leases[0]
    assert len(lease.jobs) == 5
    await world.lose(first)

    executions = 1
    while set(await world.statuses(jids)) & {"queued", "processing"}:
        slot = await world.slot()
        lease = (await world.work(slot)).leases[0]
        assert len(lease.jobs) == 1
        if lease.jobs[0].index == 2:
            executions += 1
            await world.lose(slot)
        else:
            await world.work(slot, reports=[ended(lease)], lease=False)

    assert executions == 3
    assert await world.statuses(jids) == ["done", "done", "error", "done", "done"]
    outcome = (await world.outcomes(jids))[jids[2]]
    assert outcome.cause == Cause.NODE_LOST
    assert b"power cut" in (outcome.payload or b"")


async def test_an_unrestartable_job_is_started_once(world: World) -> None:
    """With restartable=False a lost slot makes the job an error: its lease was its start."""
    slot = await world.slot()
    jids = await world.submit(2, restartable=False)
    assert len((await world.work(slot)).leases[0].jobs) == 1

    await world.lose(slot)

    assert await world.statuses(jids) == ["error", "queued"]


async def test_a_lost_attempt_stays_processing(world: World) -> None:
    """A user who saw `processing` never sees `queued` again."""
    slot = await world.slot()
    jids = await world.submit(1)
    lease = (await world.work(slot)).leases[0]
    assert await world.statuses(jids) == ["queued"]
    running = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await world.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=[running], wait_s=0)
    )
    assert await world.statuses(jids) == ["processing"]

    await world.lose(slot)

    assert await world.statuses(jids) == ["processing"]
    assert len((await world.work(await world.slot())).leases) == 1


async def test_kill_ends_queued_jobs_at_once(world: World) -> None:
    """Killed before it ran, a job is killed for good and never leased."""
    jids = await world.submit(3)

    assert (await world.use_cases.jobs.kill.kill(ACCOUNT, [(2, 2)])).count == 1

    assert await world.statuses(jids) == ["queued", "killed", "queued"]
    slot = await world.slot()
    leased = [(await world.work(slot)).leases[0].jobs[0].index for _ in range(2)]
    assert leased == [0, 2]


async def test_kill_reaches_the_slot_that_runs_the_job(world: World) -> None:
    """A heartbeat under way answers at once with the job to kill; the slot's word is final."""
    slot = await world.slot()
    jids = await world.submit(1)
    lease = (await world.work(slot)).leases[0]
    running = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    beat = asyncio.create_task(
        world.use_cases.slots.heartbeat.heartbeat(
            slot, wire.HeartbeatRequest(running=[running], wait_s=10)
        )
    )
    await asyncio.sleep(0)

    await world.use_cases.jobs.kill.kill(ACCOUNT, None)

    async with asyncio.timeout(1):
        assert (await beat).kills == [running]
    await world.work(slot, reports=[ended(lease, State.KILLED)], lease=False)
    assert await world.statuses(jids) == ["killed"]


async def test_killing_a_finished_job_does_nothing(world: World) -> None:
    """A final state never changes."""
    slot = await world.slot()
    jids = await world.submit(1)
    await world.work(slot, reports=[ended((await world.work(slot)).leases[0])], lease=False)

    assert (await world.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])).count == 0
    assert await world.statuses(jids) == ["done"]


@pytest.mark.parametrize("asked", [[(2, 2)], [(1, 2)], [(1, 10**12)], [(10**15, 10**15)]])
async def test_unknown_jobs_are_not_found_in_bounded_time(
    world: World, asked: list[tuple[int, int]]
) -> None:
    """A jid that never was is named, and a huge range costs nothing."""
    await world.submit(1)

    with pytest.raises(JobNotFound) as refused:
        await world.use_cases.jobs.status.status(ACCOUNT, asked)

    assert "There is no job" in refused.value.message


async def test_another_accounts_job_looks_like_none(world: World) -> None:
    """Another account's jobs and jobs that never were get the same answer."""
    await world.submit(1)

    with pytest.raises(JobNotFound) as others:
        await world.use_cases.jobs.status.status("a0000002", [(1, 1)])
    with pytest.raises(JobNotFound) as nobodys:
        await world.use_cases.jobs.status.status(ACCOUNT, [(2, 2)])

    assert others.value.message.replace("1", "2") == nobodys.value.message


async def test_waiting_ends_with_the_last_job(world: World) -> None:
    """A wait under way is answered when its jobs are final, with their results."""
    slot = await world.slot()
    jids = await world.submit(1)
    waiting = asyncio.create_task(world.outcomes(jids, timeout_s=10))
    await asyncio.sleep(0)

    lease = (await world.work(slot)).leases[0]
    await world.work(slot, reports=[ended(lease)], lease=False)

    async with asyncio.timeout(1):
        assert (await waiting)[jids[0]].payload == lease.jobs[0].arguments


async def test_a_leaving_slot_gives_everything_back(world: World) -> None:
    """A slot that says goodbye leaves its leases to others, uncharged."""
    slot = await world.slot()
    await world.submit(1, restartable=False)
    await world.work(slot)

    await world.work(slot, leaving=True)

    lease = (await world.work(await world.slot())).leases[0]
    assert lease.jobs[0].attempt == 2


async def test_a_burst_is_asked_for_when_slots_are_missing(world: World) -> None:
    """A map that finds no slot starts as many as it can use, up to the capacity, once."""
    await world.submit(1)
    await world.submit(100)
    await asyncio.sleep(0)

    assert sum(burst.count for burst in world.scheduler.bursts) == 2
    assert world.scheduler.bursts[0].name.startswith("pc-a0000001-000000000001-")


async def test_a_slot_that_comes_while_slots_are_counted_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the store is, no more slots are asked for than the machines have room for."""
    view = world.server.context.commits.view
    scan = view.scan

    async def slow(prefix: str) -> dict[str, object]:
        found = await scan(prefix)
        if prefix == Slot.prefix and world.scheduler.bursts:
            await world.slot()
        return found

    monkeypatch.setattr(type(view.state), "shared", True)
    monkeypatch.setattr(view, "scan", slow)
    await world.submit(1)
    await world.until(lambda: _bursts(world), 1)
    await world.submit(1)

    await world.until(lambda: _bursts(world), 2)
    assert sum(burst.count for burst in world.scheduler.bursts) == 2


async def _bursts(world: World) -> int:
    return len(world.scheduler.bursts)


async def test_after_a_restart_everything_queued_is_leased_once(world: World) -> None:
    """What was acknowledged survives the loss of all that was in memory."""
    jids = await world.submit(2500)
    slot = await world.slot()
    await world.work(slot, reports=[ended((await world.work(slot)).leases[0])], lease=False)
    await world.stop()

    await world.start()
    slot = await world.slot()
    seen: list[int] = []
    while (leases := (await world.work(slot)).leases) and len(seen) < 3000:
        seen += [lease.first + job.index for lease in leases for job in lease.jobs]
        await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)

    assert sorted(seen) == list(jids)[1:]
    assert set(await world.statuses(jids)) == {"done"}


async def test_one_request_fits_one_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many small batches wait, what a slot reports and leases at once fits the store."""
    state = world.server.ports.state
    largest = [0]
    commit = state.commit

    async def measured(operations: Sequence[Operation]) -> dict[str, int]:
        largest[0] = max(largest[0], len(operations))
        return await commit(operations)

    monkeypatch.setattr(state, "commit", measured)
    monkeypatch.setattr(type(state), "max_operations", 64)
    slot = await world.slot()
    await world.submit(1)
    warm = (await world.work(slot)).leases[0]
    await world.work(slot, reports=[ended(warm)], lease=False)
    work = SlotWork(world.server.context, LeasePlanner(world.server.context))
    jids = [await world.submit(1) for _ in range(100)]

    answer = await work.work(slot, wire.WorkRequest())
    while answer.leases:
        reports = [ended(lease) for lease in answer.leases]
        answer = await work.work(slot, wire.WorkRequest(reports=reports))

    assert {status for each in jids for status in await world.statuses(each)} == {"done"}
    assert largest[0] < 64


async def test_slots_that_die_at_once_are_not_started_without_end(world: World) -> None:
    """When slots are lost shortly after their start, bursts come ever more slowly, up to 2 s."""
    placement = world.server.background.autoscaler
    slot = await world.slot()
    await world.submit(10)
    await asyncio.sleep(0.01)
    world.scheduler.bursts.clear()
    world.server.context.slot_sessions.give_up(slot.pool)

    placement.back_off(slot.slot)
    await world.lose(slot)
    placement.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert world.scheduler.bursts == []

    world.now += 2
    placement.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert world.scheduler.bursts


async def test_a_slot_whose_process_is_new_holds_nothing(world: World) -> None:
    """Where a scheduler starts another process at the same place, what the first one held goes back
    into the queue as soon as the second one registers.
    """
    jids = await world.submit(2)
    slot = await world.slot()
    [held] = (await world.work(slot)).leases
    beat = wire.HeartbeatRequest(
        running=[wire.AttemptRef(held.batch, 0, held.jobs[0].attempt)], wait_s=0
    )
    await world.use_cases.slots.heartbeat.heartbeat(slot, beat)

    await world.use_cases.slots.slots.register(slot.slot.place)
    again = world.use_cases.slots.slots.sessions.get(slot.number)

    assert again is not None
    assert again is not slot
    assert await world.statuses(jids) == ["processing", "queued"]
    [lease] = (await world.work(again)).leases
    assert lease.jobs[0].index == 0
    assert lease.jobs[0].attempt > held.jobs[0].attempt
    await world.work(slot, reports=[ended(held)], lease=False)
    assert await world.statuses(jids) == ["processing", "queued"]


async def test_idle_slots_make_room_for_another_pool(world: World) -> None:
    """Where no slot comes for jobs of another core type, a slot that waits for work is let go."""
    slot = await world.slot()
    waiting = asyncio.create_task(world.work(slot, wait_s=10.0))
    await asyncio.sleep(0)
    await world.submit(1, core_type="m1")
    await asyncio.sleep(0.01)
    world.server.background.autoscaler.release_idle()
    assert not waiting.done()

    world.now += 2
    world.server.background.autoscaler.release_idle()

    async with asyncio.timeout(1):
        assert (await waiting).exit


async def test_nothing_is_leased_that_the_slot_does_not_hear_of(world: World) -> None:
    """Small batches of several functions: whatever a plan leases is in the answer."""
    slot = await world.slot()
    for function in ("f", "g"):
        await world.submit(1, function=function)
        warm = (await world.work(slot)).leases
        await world.work(slot, reports=[ended(lease) for lease in warm], lease=False)
    made = [await world.submit(1, function=name) for name in ("f", "f", "g", "f", "g", "g")]

    while leases := (await world.work(slot)).leases:
        await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)

    assert [await world.statuses(jids) for jids in made] == [["done"]] * 6
