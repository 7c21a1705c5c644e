"""Slots: registration, tokens, and what happens to the jobs of a slot that ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.engine.jobs.fence import Blame
from picloud_api.store import layout
from picloud_api.store.records import Ready, Slot
from picloud_api.usecases.slots.slot import SEEN_EVERY_S
from picloud_driver.state import Delete
from picloud_model import wire
from picloud_model.errors import SlotRefused
from picloud_model.job import Cause

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft

    from tests.unit.api.api_harness import ApiHarness


async def begin(api: ApiHarness, slot: SlotSession, lease: wire.Lease) -> None:
    """Report that the first job of a lease runs."""
    job = lease.jobs[0]
    running = wire.AttemptRef(lease.batch, job.index, job.attempt)
    request = wire.HeartbeatRequest(running=[running], wait_s=0)
    await api.use_cases.slots.heartbeat.heartbeat(slot, request)


async def test_a_poison_job_charges_only_itself(api: ApiHarness) -> None:
    """A job that loses three slots fails; the other jobs of the first lease are done."""
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
            await begin(api, slot, lease)
            await api.lose(slot)
        else:
            await api.work(slot, reports=[report_of(lease)], lease=False)

    assert executions == 3
    assert await api.statuses(jids) == ["done", "done", "error", "done", "done"]
    outcome = (await api.outcomes(jids))[jids[2]]
    assert outcome.cause == Cause.NODE_LOST
    assert b"attempt 1: power cut; attempt 2: power cut; attempt 3: power cut" in (
        outcome.payload or b""
    )


@pytest.mark.parametrize(("blame", "times"), [(Blame.OUTSIDE, 20), (Blame.UNCLEAR, 4)])
async def test_losses_that_no_job_is_to_blame_for_are_free(
    api: ApiHarness, blame: Blame, times: int
) -> None:
    """A job whose slots were stopped, or died with others, is done in the end."""
    jids = await api.submit(1)
    for _ in range(times):
        slot = await api.slot()
        await begin(api, slot, (await api.work(slot)).leases[0])
        await api.lose(slot, blame)

    slot = await api.slot()
    await api.work(slot, reports=[report_of((await api.work(slot)).leases[0])])

    assert await api.statuses(jids) == ["done"]


async def test_no_job_is_run_for_ever(api: ApiHarness) -> None:
    """A job that several slots die with each time is an error in the end."""
    jids = await api.submit(1)
    executions = 0
    while await api.statuses(jids) != ["error"]:
        slot = await api.slot()
        await begin(api, slot, (await api.work(slot)).leases[0])
        await api.lose(slot, Blame.UNCLEAR)
        executions += 1

    assert executions == 5
    assert b"too many slots were lost" in ((await api.outcomes(jids))[jids[0]].payload or b"")


async def test_a_job_that_has_not_begun_is_not_charged(api: ApiHarness) -> None:
    """Once lost, a job is leased alone and announced: it is known whether it began."""
    jids = await api.submit(1)
    for number in range(20):
        slot = await api.slot()
        lease = (await api.work(slot)).leases[0]
        assert lease.announced == (number > 0)
        await api.lose(slot)

    slot = await api.slot()
    await api.work(slot, reports=[report_of((await api.work(slot)).leases[0])])

    assert await api.statuses(jids) == ["done"]


async def test_an_unrestartable_job_is_started_once(api: ApiHarness) -> None:
    """With restartable=False a lost slot makes the job an error once it has begun."""
    slot = await api.slot()
    jids = await api.submit(2, restartable=False)
    lease = (await api.work(slot)).leases[0]
    assert lease.announced
    assert len(lease.jobs) == 1
    await begin(api, slot, lease)

    await api.lose(slot, Blame.OUTSIDE)

    assert await api.statuses(jids) == ["error", "queued"]


async def test_an_unrestartable_job_that_never_began_is_leased_anew(api: ApiHarness) -> None:
    """It was not started, so it may be."""
    slot = await api.slot()
    jids = await api.submit(1, restartable=False)
    await api.work(slot)

    await api.lose(slot)

    assert await api.statuses(jids) == ["queued"]
    assert (await api.work(await api.slot())).leases[0].jobs[0].attempt == 2


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


async def test_a_new_process_at_a_place_holds_no_jobs(api: ApiHarness) -> None:
    """When a scheduler replaces the process at a place, the jobs of the first one are queued again
    as soon as the second one registers.
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


async def test_a_place_always_has_the_same_slot(api: ApiHarness) -> None:
    """A slot that registers twice, because a reply was lost, gets its number and token again."""
    slot = await api.slot()
    slots = api.use_cases.slots.slots

    first, second = [await slots.register(slot.slot.place) for _ in range(2)]

    assert first == second
    assert first.slot == slot.number


async def test_a_proof_of_no_place_is_refused(api: ApiHarness) -> None:
    """Only the scheduler's own proofs register a slot."""
    with pytest.raises(SlotRefused):
        await api.use_cases.slots.slots.register("no such place")


async def test_the_token_of_a_removed_slot_is_refused(api: ApiHarness) -> None:
    """A slot that ended is unknown at once; removing it again changes nothing."""
    slot = await api.slot()
    slots = api.use_cases.slots.slots
    token = (await slots.register(slot.slot.place)).token

    record = await slots.remove(slot.number)

    assert record is not None
    assert record.place == slot.slot.place
    assert await slots.remove(slot.number) is None
    with pytest.raises(SlotRefused):
        await slots.recognise(token)


async def test_a_live_slot_is_recorded_every_few_seconds(api: ApiHarness) -> None:
    """Requests record that a slot is alive, but not each of them."""
    slot = await api.slot()
    slots, view = api.use_cases.slots.slots, api.server.context.commits.view
    token = (await slots.register(slot.slot.place)).token
    registered_at = api.now

    api.now += SEEN_EVERY_S
    await slots.recognise(token)
    assert (await view.fresh(layout.slot(slot.number))).seen_at == registered_at
    api.now += 0.1
    await slots.recognise(token)

    assert (await view.fresh(layout.slot(slot.number))).seen_at == api.now


async def test_leases_of_unknown_slots_are_taken_back(api: ApiHarness) -> None:
    """A job leased to a slot without a record is queued again; those of live slots are not."""
    lost, living = await api.slot(), await api.slot()
    jids = await api.submit(2)
    await api.work(lost)
    await api.work(living)
    await api.server.ports.state.commit([Delete(layout.slot(lost.number))])
    api.server.context.commits.view.forget_all()
    unfinished = await api.server.context.commits.view.scan(Ready.prefix)

    await api.use_cases.slots.slots.reclaim([living.number], unfinished)

    lease = (await api.work(living)).leases[0]
    assert (lease.jobs[0].index, lease.jobs[0].attempt) == (0, 2)
    assert len(jids) == 2


async def test_slots_restart_before_their_next_job(api: ApiHarness) -> None:
    """A slot that runs a job finishes it and then ends; one that waits ends at once."""
    busy, waiting = await api.slot(), await api.slot()
    await api.submit(1)
    lease = (await api.work(busy)).leases[0]
    poll = asyncio.create_task(api.work(waiting, wait_s=20))
    await asyncio.sleep(0)

    restarted = await api.use_cases.slots.slots.restart(ACCOUNT)

    assert restarted.count == 2
    assert (await poll).exit
    await api.submit(1)
    answer = await api.work(busy, reports=[report_of(lease)])
    assert (answer.exit, answer.leases) == (True, [])
    assert (await api.work(await api.slot())).leases != []


async def test_a_slot_that_another_process_restarts_learns_it(api: ApiHarness) -> None:
    """When it is recorded as alive the next time; slots of other accounts are not affected."""
    slot = await api.slot()
    token = api.use_cases.accounts.slot_tokens.issue(slot.number)
    await api.use_cases.slots.slots.restart("a0000002")
    assert not slot.retiring
    await api.server.context.commits.run(_retire(replace(slot.slot, retiring=True)))
    api.now += SEEN_EVERY_S + 1

    await api.use_cases.slots.slots.recognise(token)

    assert slot.retiring


def _retire(slot: Slot) -> Callable[[Draft], Awaitable[None]]:
    async def plan(draft: Draft) -> None:
        await draft.get(layout.slot(slot.number))
        draft.put(layout.slot(slot.number), slot)

    return plan
