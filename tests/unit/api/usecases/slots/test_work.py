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

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.state import Operation

    from tests.unit.api.api_harness import ApiHarness


async def test_a_queued_call_costs_three_transactions(api: ApiHarness) -> None:
    """Where no slot waits, submit, lease and report are one transaction each, nothing else."""
    slot = await api.slot()
    before = api.server.context.commits.transactions

    jids = await api.submit(1)
    answer = await api.work(slot)
    await api.work(slot, reports=[report_of(answer.leases[0])])

    assert await api.statuses(jids) == ["done"]
    assert api.server.context.commits.transactions - before == 3


async def test_a_slot_that_waits_is_woken_by_a_submit(api: ApiHarness) -> None:
    """A long poll for work returns with the lease as soon as a batch is announced."""
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=10.0))
    await asyncio.sleep(0)

    await api.submit(1)

    async with asyncio.timeout(1):
        assert len((await waiting).leases[0].jobs) == 1


async def test_an_unmeasured_function_is_leased_one_job(api: ApiHarness) -> None:
    """Nobody knows how long a new function takes, so a slot gets a single job of it."""
    slot = await api.slot()
    await api.submit(1000)

    assert len((await api.work(slot)).leases[0].jobs) == 1


async def test_a_lease_is_about_100_ms_of_work(api: ApiHarness) -> None:
    """Once a function is measured, a lease holds what fills 100 ms."""
    slot = await api.slot()
    await api.submit(1000)
    first = (await api.work(slot)).leases[0]

    second = await api.work(slot, reports=[report_of(first, seconds=0.01)])

    assert len(second.leases[0].jobs) == 10


async def test_two_slots_share_a_map(api: ApiHarness) -> None:
    """No slot takes the whole of a short map while another waits."""
    slots = [await api.slot(), await api.slot()]
    await api.submit(2)
    first = (await api.work(slots[0])).leases[0]
    await api.work(slots[0], reports=[report_of(first)], lease=False)
    await api.submit(100)

    assert len((await api.work(slots[0])).leases[0].jobs) <= 50


async def test_small_batches_of_one_function_are_leased_together(api: ApiHarness) -> None:
    """Many calls of a fast function travel in one answer."""
    slot = await api.slot()
    await api.submit(1)
    first = (await api.work(slot)).leases[0]
    for _ in range(20):
        await api.submit(1)

    answer = await api.work(slot, reports=[report_of(first)])

    assert len(answer.leases) == 20


async def test_priority_decides_then_age(api: ApiHarness) -> None:
    """Lower priority numbers run first, older batches first among equals."""
    slot = await api.slot()
    late, early, urgent = [
        await api.submit(1, function=name, priority=priority)
        for name, priority in (("a", 7), ("b", 5), ("c", 1))
    ]

    order = [(await api.work(slot)).leases[0].first for _ in range(3)]

    assert order == [urgent[0], early[0], late[0]]


async def test_a_stale_report_is_fenced(api: ApiHarness) -> None:
    """The report of an attempt that was lost publishes nothing; the new attempt's does."""
    old, new = await api.slot(), await api.slot()
    jids = await api.submit(1)
    stale = report_of((await api.work(old)).leases[0])
    await api.lose(old)
    fresh = report_of((await api.work(new)).leases[0], State.ERROR)

    with pytest.raises(SlotRefused):
        await api.use_cases.slots.slots.recognise("forged")
    await api.work(old, reports=[stale], lease=False)
    assert await api.statuses(jids) == ["queued"]
    await api.work(new, reports=[fresh], lease=False)
    await api.work(old, reports=[stale], lease=False)

    assert await api.statuses(jids) == ["error"]


async def test_a_repeated_report_changes_nothing(api: ApiHarness) -> None:
    """A report sent twice, as its answer was lost, publishes one result."""
    slot = await api.slot()
    jids = await api.submit(3)
    report = report_of((await api.work(slot)).leases[0])
    await api.work(slot, reports=[report], lease=False)
    first = await api.outcomes(jids)

    await api.work(slot, reports=[report], lease=False)

    assert await api.outcomes(jids) == first


async def test_returned_jobs_are_leased_again_uncharged(api: ApiHarness) -> None:
    """A job given back before it began goes to the next slot, however often."""
    slot = await api.slot()
    jids = await api.submit(1)
    for _ in range(10):
        lease = (await api.work(slot)).leases[0]
        job = lease.jobs[0]
        held = wire.AttemptRef(lease.batch, job.index, job.attempt)
        await api.work(slot, returned=[held], lease=False)

    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease)], lease=False)

    assert await api.statuses(jids) == ["done"]


async def test_a_job_its_page_does_not_have_is_lost(api: ApiHarness) -> None:
    """A heartbeat may name any number: what no job has is said to be lost, as what another has."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    named = [wire.AttemptRef(lease.batch, index, 1) for index in (1, 999, 1000)]

    answer = await api.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=named, holding=named, wait_s=0)
    )

    assert answer.lost == named * 2


async def test_an_answer_that_got_lost_returns_its_leases(api: ApiHarness) -> None:
    """With `resync`, whatever the slot does not hold goes back and comes again at once."""
    slot = await api.slot()
    await api.submit(1)
    lost = (await api.work(slot)).leases[0]

    again = (await api.work(slot, resync=True)).leases[0]

    assert again.jobs[0].index == lost.jobs[0].index
    assert again.jobs[0].attempt == lost.jobs[0].attempt + 1


async def test_a_poison_job_charges_only_itself(api: ApiHarness) -> None:
    """After three lost slots a job is an error; its companions in the first lease are done."""
    first = await api.slot()
    await api.submit(1)
    warm = (await api.work(first)).leases[0]
    await api.work(first, reports=[report_of(warm)], lease=False)
    jids = await api.submit(5)
    lease = (await api.work(first)).leases[0]
    assert len(lease.jobs) == 5
    await api.lose(first)

    executions = 1
    while set(await api.statuses(jids)) & {"queued", "processing"}:
        slot = await api.slot()
        lease = (await api.work(slot)).leases[0]
        assert len(lease.jobs) == 1
        if lease.jobs[0].index == 2:
            executions += 1
            await api.lose(slot)
        else:
            await api.work(slot, reports=[report_of(lease)], lease=False)

    assert executions == 3
    assert await api.statuses(jids) == ["done", "done", "error", "done", "done"]
    outcome = (await api.outcomes(jids))[jids[2]]
    assert outcome.cause == Cause.NODE_LOST
    assert b"power cut" in (outcome.payload or b"")


async def test_an_unrestartable_job_is_started_once(api: ApiHarness) -> None:
    """With restartable=False a lost slot makes the job an error: its lease was its start."""
    slot = await api.slot()
    jids = await api.submit(2, restartable=False)
    assert len((await api.work(slot)).leases[0].jobs) == 1

    await api.lose(slot)

    assert await api.statuses(jids) == ["error", "queued"]


async def test_a_lost_attempt_stays_processing(api: ApiHarness) -> None:
    """A user who saw `processing` never sees `queued` again."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    assert await api.statuses(jids) == ["queued"]
    running = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=[running], wait_s=0)
    )
    assert await api.statuses(jids) == ["processing"]

    await api.lose(slot)

    assert await api.statuses(jids) == ["processing"]
    assert len((await api.work(await api.slot())).leases) == 1


async def test_kill_ends_queued_jobs_at_once(api: ApiHarness) -> None:
    """Killed before it ran, a job is killed for good and never leased."""
    jids = await api.submit(3)

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 2)])).count == 1

    assert await api.statuses(jids) == ["queued", "killed", "queued"]
    slot = await api.slot()
    leased = [(await api.work(slot)).leases[0].jobs[0].index for _ in range(2)]
    assert leased == [0, 2]


async def test_kill_reaches_the_slot_that_runs_the_job(api: ApiHarness) -> None:
    """A heartbeat under way answers at once with the job to kill; the slot's word is final."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    running = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    beat = asyncio.create_task(
        api.use_cases.slots.heartbeat.heartbeat(
            slot, wire.HeartbeatRequest(running=[running], wait_s=10)
        )
    )
    await asyncio.sleep(0)

    await api.use_cases.jobs.kill.kill(ACCOUNT, None)

    async with asyncio.timeout(1):
        assert (await beat).kills == [running]
    await api.work(slot, reports=[report_of(lease, State.KILLED)], lease=False)
    assert await api.statuses(jids) == ["killed"]


async def test_killing_a_finished_job_does_nothing(api: ApiHarness) -> None:
    """A final state never changes."""
    slot = await api.slot()
    jids = await api.submit(1)
    await api.work(slot, reports=[report_of((await api.work(slot)).leases[0])], lease=False)

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])).count == 0
    assert await api.statuses(jids) == ["done"]


@pytest.mark.parametrize("asked", [[(2, 2)], [(1, 2)], [(1, 10**12)], [(10**15, 10**15)]])
async def test_unknown_jobs_are_not_found_in_bounded_time(
    api: ApiHarness, asked: list[tuple[int, int]]
) -> None:
    """A jid that never was is named, and a huge range costs nothing."""
    await api.submit(1)

    with pytest.raises(JobNotFound) as refused:
        await api.use_cases.jobs.status.status(ACCOUNT, asked)

    assert "There is no job" in refused.value.message


async def test_another_accounts_job_looks_like_none(api: ApiHarness) -> None:
    """Another account's jobs and jobs that never were get the same answer."""
    await api.submit(1)

    with pytest.raises(JobNotFound) as others:
        await api.use_cases.jobs.status.status("a0000002", [(1, 1)])
    with pytest.raises(JobNotFound) as nobodys:
        await api.use_cases.jobs.status.status(ACCOUNT, [(2, 2)])

    assert others.value.message.replace("1", "2") == nobodys.value.message


async def test_waiting_ends_with_the_last_job(api: ApiHarness) -> None:
    """A wait under way is answered when its jobs are final, with their results."""
    slot = await api.slot()
    jids = await api.submit(1)
    waiting = asyncio.create_task(api.outcomes(jids, timeout_s=10))
    await asyncio.sleep(0)

    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease)], lease=False)

    async with asyncio.timeout(1):
        assert (await waiting)[jids[0]].payload == lease.jobs[0].arguments


async def test_a_leaving_slot_gives_everything_back(api: ApiHarness) -> None:
    """A slot that says goodbye leaves its leases to others, uncharged."""
    slot = await api.slot()
    await api.submit(1, restartable=False)
    await api.work(slot)

    await api.work(slot, leaving=True)

    lease = (await api.work(await api.slot())).leases[0]
    assert lease.jobs[0].attempt == 2


async def test_a_burst_is_asked_for_when_slots_are_missing(api: ApiHarness) -> None:
    """A map that finds no slot starts as many as it can use, up to the capacity, once."""
    await api.submit(1)
    await api.submit(100)
    await asyncio.sleep(0)

    assert sum(burst.count for burst in api.scheduler.bursts) == 2
    assert api.scheduler.bursts[0].name.startswith("pc-a0000001-000000000001-")


async def test_a_slot_that_comes_while_slots_are_counted_is_counted(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the store is, no more slots are asked for than the machines have room for."""
    view = api.server.context.commits.view
    scan = view.scan

    async def slow(prefix: str) -> dict[str, object]:
        found = await scan(prefix)
        if prefix == Slot.prefix and api.scheduler.bursts:
            await api.slot()
        return found

    monkeypatch.setattr(type(view.state), "shared", True)
    monkeypatch.setattr(view, "scan", slow)
    await api.submit(1)
    await api.wait_until(lambda: _bursts(api), 1)
    await api.submit(1)

    await api.wait_until(lambda: _bursts(api), 2)
    assert sum(burst.count for burst in api.scheduler.bursts) == 2


async def _bursts(api: ApiHarness) -> int:
    return len(api.scheduler.bursts)


async def test_after_a_restart_everything_queued_is_leased_once(api: ApiHarness) -> None:
    """What was acknowledged survives the loss of all that was in memory."""
    jids = await api.submit(2500)
    slot = await api.slot()
    await api.work(slot, reports=[report_of((await api.work(slot)).leases[0])], lease=False)
    await api.stop()

    await api.start()
    slot = await api.slot()
    seen: list[int] = []
    while (leases := (await api.work(slot)).leases) and len(seen) < 3000:
        seen += [lease.first + job.index for lease in leases for job in lease.jobs]
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)

    assert sorted(seen) == list(jids)[1:]
    assert set(await api.statuses(jids)) == {"done"}


async def test_one_request_fits_one_transaction(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many small batches wait, what a slot reports and leases at once fits the store."""
    state = api.server.ports.state
    largest = [0]
    commit = state.commit

    async def measured(operations: Sequence[Operation]) -> dict[str, int]:
        largest[0] = max(largest[0], len(operations))
        return await commit(operations)

    monkeypatch.setattr(state, "commit", measured)
    monkeypatch.setattr(type(state), "max_operations", 64)
    slot = await api.slot()
    await api.submit(1)
    warm = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(warm)], lease=False)
    work = SlotWork(api.server.context, LeasePlanner(api.server.context))
    jids = [await api.submit(1) for _ in range(100)]

    answer = await work.work(slot, wire.WorkRequest())
    while answer.leases:
        reports = [report_of(lease) for lease in answer.leases]
        answer = await work.work(slot, wire.WorkRequest(reports=reports))

    assert {status for each in jids for status in await api.statuses(each)} == {"done"}
    assert largest[0] < 64


async def test_slots_that_die_at_once_are_not_started_without_end(api: ApiHarness) -> None:
    """When slots are lost shortly after their start, bursts come ever more slowly, up to 2 s."""
    placement = api.server.background.autoscaler
    slot = await api.slot()
    await api.submit(10)
    await asyncio.sleep(0.01)
    api.scheduler.bursts.clear()
    api.server.context.slot_sessions.give_up(slot.pool)

    placement.back_off(slot.slot)
    await api.lose(slot)
    placement.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert api.scheduler.bursts == []

    api.now += 2
    placement.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert api.scheduler.bursts


async def test_a_slot_whose_process_is_new_holds_nothing(api: ApiHarness) -> None:
    """Where a scheduler starts another process at the same place, what the first one held goes back
    into the queue as soon as the second one registers.
    """
    jids = await api.submit(2)
    slot = await api.slot()
    [held] = (await api.work(slot)).leases
    beat = wire.HeartbeatRequest(
        running=[wire.AttemptRef(held.batch, 0, held.jobs[0].attempt)], wait_s=0
    )
    await api.use_cases.slots.heartbeat.heartbeat(slot, beat)

    await api.use_cases.slots.slots.register(slot.slot.place)
    again = api.use_cases.slots.slots.sessions.get(slot.number)

    assert again is not None
    assert again is not slot
    assert await api.statuses(jids) == ["processing", "queued"]
    [lease] = (await api.work(again)).leases
    assert lease.jobs[0].index == 0
    assert lease.jobs[0].attempt > held.jobs[0].attempt
    await api.work(slot, reports=[report_of(held)], lease=False)
    assert await api.statuses(jids) == ["processing", "queued"]


async def test_idle_slots_make_room_for_another_pool(api: ApiHarness) -> None:
    """Where no slot comes for jobs of another core type, a slot that waits for work is let go."""
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=10.0))
    await asyncio.sleep(0)
    await api.submit(1, core_type="m1")
    await asyncio.sleep(0.01)
    api.server.background.autoscaler.release_idle()
    assert not waiting.done()

    api.now += 2
    api.server.background.autoscaler.release_idle()

    async with asyncio.timeout(1):
        assert (await waiting).exit


async def test_nothing_is_leased_that_the_slot_does_not_hear_of(api: ApiHarness) -> None:
    """Small batches of several functions: whatever a plan leases is in the answer."""
    slot = await api.slot()
    for function in ("f", "g"):
        await api.submit(1, function=function)
        warm = (await api.work(slot)).leases
        await api.work(slot, reports=[report_of(lease) for lease in warm], lease=False)
    made = [await api.submit(1, function=name) for name in ("f", "f", "g", "f", "g", "g")]

    while leases := (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)

    assert [await api.statuses(jids) for jids in made] == [["done"]] * 6
