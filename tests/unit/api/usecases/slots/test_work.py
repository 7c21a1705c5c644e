"""Work: reports of slots, and the leases they get in return."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_model import wire
from picloud_model.errors import SlotRefused
from picloud_model.job import State

from tests.unit.api.api_harness import report_of
from tests.unit.api.recording_state import SmallTransactionState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


async def test_a_queued_call_costs_three_transactions(api: ApiHarness) -> None:
    """If no slot waits, submit, lease and report are one transaction each."""
    slot = await api.slot()
    before = api.server.context.commits.transactions

    jids = await api.submit(1)
    answer = await api.work(slot)
    await api.work(slot, reports=[report_of(answer.leases[0])])

    assert await api.statuses(jids) == ["done"]
    assert api.server.context.commits.transactions - before == 3


async def test_a_slot_that_waits_is_woken_by_a_submit(api: ApiHarness) -> None:
    """A long poll for work returns with the lease as soon as a batch is submitted."""
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=10.0))
    await asyncio.sleep(0)

    await api.submit(1)

    async with asyncio.timeout(30):
        assert len((await waiting).leases[0].jobs) == 1


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
    """A report that is sent twice, because its reply was lost, publishes one result."""
    slot = await api.slot()
    jids = await api.submit(3)
    report = report_of((await api.work(slot)).leases[0])
    await api.work(slot, reports=[report], lease=False)
    first = await api.outcomes(jids)

    await api.work(slot, reports=[report], lease=False)

    assert await api.outcomes(jids) == first


async def test_returned_jobs_are_leased_again_uncharged(api: ApiHarness) -> None:
    """A job that is returned before it started goes to the next slot, however often."""
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


@pytest.mark.parametrize(("restartable", "status"), [(True, "done"), (False, "error")])
async def test_a_stopped_job_runs_again_uncharged(
    api: ApiHarness, restartable: bool, status: str
) -> None:
    """A job that was ended with its slot runs on another one, unless it must not."""
    jids = await api.submit(1, restartable=restartable)
    for _ in range(10):
        slot = await api.slot()
        leases = (await api.work(slot)).leases
        if leases:
            job = leases[0].jobs[0]
            held = wire.AttemptRef(leases[0].batch, job.index, job.attempt)
            await api.work(slot, stopped=[held], leaving=True)
            await api.use_cases.slots.slots.remove(slot.number)

    slot = await api.slot()
    leases = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease) for lease in leases])

    assert await api.statuses(jids) == [status]


@pytest.mark.parametrize(("restartable", "executions"), [(True, 2), (False, 1)])
async def test_a_job_whose_process_was_killed_is_tried_again_once(
    api: ApiHarness, restartable: bool, executions: int
) -> None:
    """The second time the failure is the job's end, as it is where the job must not restart."""
    slot = await api.slot()
    jids = await api.submit(1, restartable=restartable)
    count = 0
    while leases := (await api.work(slot)).leases:
        count += 1
        report = report_of(leases[0], State.ERROR)
        ended = [replace(job, retry=True) for job in report.ended]
        await api.work(slot, reports=[replace(report, ended=ended)], lease=False)

    assert count == executions
    assert await api.statuses(jids) == ["error"]


async def test_the_leases_of_a_lost_reply_are_taken_back(api: ApiHarness) -> None:
    """With `resync`, jobs that the slot does not hold are queued and leased again at once."""
    slot = await api.slot()
    await api.submit(1)
    lost = (await api.work(slot)).leases[0]

    again = (await api.work(slot, resync=True)).leases[0]

    assert again.jobs[0].index == lost.jobs[0].index
    assert again.jobs[0].attempt == lost.jobs[0].attempt + 1


async def test_a_leaving_slot_returns_its_leases(api: ApiHarness) -> None:
    """Other slots get the jobs of a slot that leaves; no loss is charged."""
    slot = await api.slot()
    await api.submit(1, restartable=False)
    await api.work(slot)

    await api.work(slot, leaving=True)

    lease = (await api.work(await api.slot())).leases[0]
    assert lease.jobs[0].attempt == 2


async def test_after_a_restart_everything_queued_is_leased_once(api: ApiHarness) -> None:
    """Jobs that were acknowledged survive a crash of the server."""
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


async def test_one_request_fits_one_transaction(start_api: StartApi) -> None:
    """However many small batches wait, the reports and leases of one request fit the store."""
    api = await start_api(SmallTransactionState)
    slot = await api.slot()
    await api.submit(1)
    warm = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(warm)], lease=False)
    jids = [await api.submit(1) for _ in range(100)]

    answer = await api.work(slot)
    while answer.leases:
        answer = await api.work(slot, reports=[report_of(lease) for lease in answer.leases])

    assert {status for each in jids for status in await api.statuses(each)} == {"done"}
    assert max(api.state.commits) < 64


async def test_each_lease_is_in_the_reply(api: ApiHarness) -> None:
    """Of small batches of several functions, all that a plan leases is in the reply."""
    slot = await api.slot()
    for function in ("f", "g"):
        await api.submit(1, function=function)
        warm = (await api.work(slot)).leases
        await api.work(slot, reports=[report_of(lease) for lease in warm], lease=False)
    made = [await api.submit(1, function=name) for name in ("f", "f", "g", "f", "g", "g")]

    while leases := (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)

    assert [await api.statuses(jids) for jids in made] == [["done"]] * 6
