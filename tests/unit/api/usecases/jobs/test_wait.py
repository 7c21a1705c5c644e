"""Waiting: when a long poll returns, and with which outcomes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_model import wire
from picloud_model.errors import JobNotFound
from picloud_model.job import State, Status

from tests.unit.api.api_harness import ACCOUNT, hold, report_of
from tests.unit.api.job_info import info_content, report_with_infos

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_waiting_ends_with_the_last_job(api: ApiHarness) -> None:
    """A waiting request returns when its jobs are final, with their results."""
    slot = await api.slot()
    jids = await api.submit(1)
    waiting = asyncio.create_task(api.outcomes(jids, timeout_s=10))
    await asyncio.sleep(0)

    lease = (await api.work(slot)).leases[0]
    await api.work(slot, reports=[report_of(lease)], lease=False)

    async with asyncio.timeout(30):
        assert (await waiting)[jids[0]].payload == lease.jobs[0].arguments


async def test_waiting_for_finished_jobs_returns_at_once(api: ApiHarness) -> None:
    """A wait for jobs that are final takes no time, whatever its timeout."""
    jids = await api.submit(2)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)

    async with asyncio.timeout(30):
        outcomes = await api.outcomes(jids, timeout_s=100.0)

    assert {outcome.status for outcome in outcomes.values()} == {"killed"}


async def test_waiting_ends_with_its_timeout(api: ApiHarness) -> None:
    """The reply then holds the outcomes of those jobs that are final."""
    jids = await api.submit(2)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])

    assert list(await api.outcomes(jids, timeout_s=0.0)) == [jids[0]]


async def test_waiting_for_a_status(api: ApiHarness) -> None:
    """With `statuses` a wait ends when all jobs are shown so, or one never will be."""
    slot = await api.slot()
    jids = await api.submit(1)
    request = wire.WaitRequest(
        jids=[(jids[0], jids[0])], statuses=[Status.PROCESSING], timeout_s=10.0
    )
    waiting = asyncio.create_task(api.use_cases.jobs.wait.wait(ACCOUNT, request, hold))
    await asyncio.sleep(0)
    lease = (await api.work(slot)).leases[0]
    assert not waiting.done()

    running = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    await api.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=[running], wait_s=0)
    )

    async with asyncio.timeout(30):
        assert (await waiting).outcomes == []
    await api.work(slot, reports=[report_of(lease)], lease=False)
    async with asyncio.timeout(30):
        (outcome,) = (await api.use_cases.jobs.wait.wait(ACCOUNT, request, hold)).outcomes
    assert outcome.status == "done"


async def test_a_wait_without_payloads_returns_no_results(api: ApiHarness) -> None:
    """`join` needs statuses and failures only: results of jobs that are done are left out."""
    slot = await api.slot()
    jids = await api.submit(2)
    done = (await api.work(slot)).leases[0]
    failed = (await api.work(slot, reports=[report_of(done)])).leases[0]
    await api.work(slot, reports=[report_of(failed, State.ERROR)], lease=False)
    request = wire.WaitRequest(jids=[(jids[0], jids[-1])], timeout_s=0.0, payloads=False)

    outcomes = (await api.use_cases.jobs.wait.wait(ACCOUNT, request, hold)).outcomes

    payloads = {outcome.status: outcome.payload for outcome in outcomes}
    assert payloads == {"done": None, "error": failed.jobs[0].arguments}


async def test_jobs_of_another_account_cannot_be_waited_for(api: ApiHarness) -> None:
    """They are as unknown as jobs that never existed."""
    await api.submit(1)
    request = wire.WaitRequest(jids=[(1, 1)], timeout_s=0.0)

    with pytest.raises(JobNotFound):
        await api.use_cases.jobs.wait.wait("a0000002", request, hold)


async def test_an_outcome_says_whether_the_job_has_printed(api: ApiHarness) -> None:
    """Nothing if it has no info, or its slot says so."""
    slot = await api.slot()
    jids = await api.submit(3)

    leases = (await api.work(slot)).leases
    while leases:
        report = report_with_infos(leases[0], {1: info_content(), 2: info_content()})
        ended = [msgspec.structs.replace(job, printed=job.index != 2) for job in report.ended]
        report = msgspec.structs.replace(report, ended=ended)
        leases = (await api.work(slot, reports=[report])).leases

    outcomes = await api.outcomes(jids, timeout_s=0.0)
    assert [outcomes[jid].printed for jid in jids] == [False, True, False]
