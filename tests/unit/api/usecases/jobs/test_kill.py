"""Kills: at once if no slot holds the job, else through its slot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from picloud_model import wire
from picloud_model.errors import Unavailable
from picloud_model.job import State

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.finished_jobs import delete_jobs
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.engine.dependencies.dependency import Dependencies

    from tests.unit.api.api_harness import ApiHarness, StartApi


async def test_kill_ends_queued_jobs_at_once(api: ApiHarness) -> None:
    """A job that is killed while it is queued is never leased."""
    jids = await api.submit(3)

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 2)])).count == 1

    assert await api.statuses(jids) == ["queued", "killed", "queued"]
    slot = await api.slot()
    leased = [(await api.work(slot)).leases[0].jobs[0].index for _ in range(2)]
    assert leased == [0, 2]


async def test_kill_reaches_the_slot_that_runs_the_job(api: ApiHarness) -> None:
    """The waiting heartbeat returns the kill at once; the slot's report ends the job."""
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

    async with asyncio.timeout(30):
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


async def test_killing_everything_skips_deleted_jobs(api: ApiHarness) -> None:
    """ "If you pass no arguments into kill, all unfinished jobs are killed": also where some jobs
    of a map were deleted.
    """
    jids = await api.submit(3)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])
    await delete_jobs(api, jids[0])

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, None)).count == 2

    assert await api.statuses(jids[1:]) == ["killed", "killed"]


async def test_a_job_whose_slot_does_not_report_is_ended(api: ApiHarness) -> None:
    """A slot has two seconds to kill its job; then the job is killed without it, once."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    assert api.use_cases.jobs.kill.silent_s == 2.0
    api.use_cases.jobs.kill.silent_s = 0.05

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])).count == 1
    assert await api.statuses(jids) == ["queued"]

    await api.wait_until(lambda: api.statuses(jids), ["killed"])
    await api.work(slot, reports=[report_of(lease)], lease=False)
    assert await api.statuses(jids) == ["killed"]


async def test_a_kill_ends_its_job_though_the_state_store_was_away(api: ApiHarness) -> None:
    """While the slot is silent, the server tries again until the end of the job is stored."""
    slot = await api.slot()
    jids = await api.submit(1)
    assert (await api.work(slot)).leases
    refused: list[bool] = []

    async def be_away_once() -> None:
        if not refused:
            refused.append(True)
            raise Unavailable

    api.use_cases.jobs.kill.silent_s = 0.05
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])
    api.state.before_commit = be_away_once

    await api.wait_until(lambda: api.statuses(jids), ["killed"])
    assert refused


async def test_the_next_server_ends_jobs_whose_slots_do_not_report(api: ApiHarness) -> None:
    """A kill is kept if the server dies before the slot reports; other jobs of the slot go on."""
    slot = await api.slot()
    killed = await api.submit(1)
    others = await api.submit(1)
    for _ in range(2):
        assert (await api.work(slot)).leases
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(killed[0], killed[0])])
    await api.stop()
    await api.start()
    api.use_cases.jobs.kill.silent_s = 0.05
    await api.reconnect(slot)

    await api.server.background.reaper.resync()

    assert await api.statuses(killed) == ["queued"]
    await api.wait_until(lambda: api.statuses(killed), ["killed"])
    assert await api.statuses(others) == ["queued"]


async def test_jobs_that_wait_are_killed_before_what_they_wait_for(api: ApiHarness) -> None:
    """So the end of a killed job releases none that is to be killed, too."""
    blocker = await api.submit(1)
    request = api.request(3000)
    waiting = msgspec.structs.replace(
        request, depends_on=[(blocker[0], blocker[0])], depends_on_errors="ignore"
    )
    await api.send(waiting)
    dependencies = api.server.background.dependencies
    await api.wait_until(lambda: _count(dependencies), 1)
    api.state.commits.clear()

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, None)).count == 3001

    # One for each page, and none for a release.
    assert len(api.state.commits) == 4
    slot = await api.slot()
    assert not (await api.work(slot)).leases


async def _count(dependencies: Dependencies) -> int:
    return len(dependencies._known)


async def test_a_kill_of_many_jobs_keeps_others_waiting_for_one_page(start_api: StartApi) -> None:
    """Its transactions grow while no other change waits, and shrink once one does."""
    api = await start_api(SharedRecordingState)
    await api.submit(12_000)
    api.state.commits.clear()
    others: list[asyncio.Task[range]] = []

    async def before_commit() -> None:
        if len(api.state.commits) == 4:
            others.append(asyncio.create_task(api.submit(1)))
        for _ in range(9):
            await asyncio.sleep(0)  # a request over a network

    api.state.before_commit = before_commit

    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    await asyncio.gather(*others)

    # Each has two operations for a page, and one for the batch.
    pages = [(operations - 1) // 2 for operations in api.state.commits]
    assert (pages[:4], pages[5]) == ([1, 2, 3, 2], 1)
