"""Heartbeats: what a slot reports as running, and what it has to do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_a_job_that_does_not_exist_is_lost(api: ApiHarness) -> None:
    """A heartbeat may name any index; one without a job is reported as lost."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    named = [wire.AttemptRef(lease.batch, index, 1) for index in (1, 999, 1000)]

    answer = await api.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=named, holding=named, wait_s=0)
    )

    assert answer.lost == named * 2


async def test_a_job_that_has_started_is_processing(api: ApiHarness) -> None:
    """The first heartbeat that names a job records its start; later ones change nothing."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    running = [wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)]
    beat = wire.HeartbeatRequest(running=running, wait_s=0)
    await api.use_cases.slots.heartbeat.heartbeat(slot, beat)
    transactions = api.server.context.commits.transactions

    answer = await api.use_cases.slots.heartbeat.heartbeat(slot, beat)

    assert (answer.kills, answer.lost) == ([], [])
    assert await api.statuses(jids) == ["processing"]
    assert api.server.context.commits.transactions == transactions


async def test_the_start_of_a_job_is_that_of_the_attempt_that_runs(api: ApiHarness) -> None:
    """A job whose slot was stopped has not started until another slot reports that it runs."""
    jids = await api.submit(1)
    started = []
    for _ in range(2):
        slot = await api.slot()
        lease = (await api.work(slot)).leases[0]
        running = [wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)]
        beat = wire.HeartbeatRequest(running=running, wait_s=0)
        await api.use_cases.slots.heartbeat.heartbeat(slot, beat)
        started.append(await _started_at(api))
        await api.work(slot, stopped=running, leaving=True, lease=False)
        assert await _started_at(api) == 0
        api.now += 30

    assert started[1] - started[0] == 30
    assert await api.statuses(jids) == ["processing"]


async def _started_at(api: ApiHarness) -> float:
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest())
    return listed.jobs[0].started_at


async def test_a_query_is_for_the_newest_heartbeat(api: ApiHarness) -> None:
    """A slot that interrupts one to report that its job runs does not read the answer of that."""
    slot = await api.slot()
    await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    job = wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)
    beat = api.use_cases.slots.heartbeat.heartbeat
    earlier = asyncio.create_task(
        beat(slot, wire.HeartbeatRequest(running=[], holding=[job], wait_s=30))
    )
    await asyncio.sleep(0)
    newer = asyncio.create_task(beat(slot, wire.HeartbeatRequest(running=[job], wait_s=30)))

    assert await asyncio.wait_for(earlier, 10) == wire.HeartbeatAnswer()
    asking = asyncio.create_task(api.server.live.info(ACCOUNT, job, slot.number, {}))
    (query,) = (await asyncio.wait_for(newer, 10)).live
    assert query.job == job
    await beat(
        slot,
        wire.HeartbeatRequest(running=[job], live=[wire.LiveAnswer(query.number, b"")], wait_s=0),
    )
    assert await asking is None


async def test_a_job_that_is_held_but_not_running_stays_queued(api: ApiHarness) -> None:
    """A slot holds jobs that it has not started; they are not lost, and not processing."""
    slot = await api.slot()
    jids = await api.submit(1)
    lease = (await api.work(slot)).leases[0]
    holding = [wire.AttemptRef(lease.batch, 0, lease.jobs[0].attempt)]

    answer = await api.use_cases.slots.heartbeat.heartbeat(
        slot, wire.HeartbeatRequest(running=[], holding=holding, wait_s=0)
    )

    assert answer.lost == []
    assert await api.statuses(jids) == ["queued"]


async def test_a_heartbeat_waits_for_its_time(api: ApiHarness) -> None:
    """With nothing to do, a heartbeat returns when its time is over, and not before."""
    slot = await api.slot()
    waiting = asyncio.create_task(
        api.use_cases.slots.heartbeat.heartbeat(slot, wire.HeartbeatRequest(running=[], wait_s=5.0))
    )
    await asyncio.sleep(0.01)
    assert not waiting.done()

    api.now += 5.0
    slot.wake_all()

    async with asyncio.timeout(30):
        answer = await waiting
    assert (answer.kills, answer.lost, answer.live, answer.work) == ([], [], [], False)
