"""Slots whose jobs wait for other jobs, as tests of nested jobs need them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness


async def made_by(api: ApiHarness, parent: int, count: int = 1) -> range:
    """Submit jobs in the name of a job."""
    request = api.request(count)
    made = await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"f" * 16, parent=parent)
    await asyncio.sleep(0)
    return range(made.first, made.first + made.count)


async def blocked(
    api: ApiHarness, *jids: int, timed: bool = False
) -> tuple[SlotSession, wire.BlockedOn]:
    """Return a slot whose only job waits for others, and what it reports about that."""
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    held = wire.AttemptRef(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)
    return slot, wire.BlockedOn(held, [(jid, jid) for jid in jids], timed)


async def leased(api: ApiHarness, slot: SlotSession, awaiting: wire.BlockedOn) -> list[int]:
    """Lease jobs to a blocked slot until it gets none; return their jids."""
    jids = []
    while leases := (await api.work(slot, awaiting=[awaiting])).leases:
        (lease,) = leases
        (job,) = lease.jobs
        jids.append(lease.first + job.index)
    return jids


async def beats(api: ApiHarness, slot: SlotSession, awaiting: list[wire.BlockedOn]) -> None:
    """Let a slot report for 16 s that it is blocked, then look for deadlocks."""
    for _ in range(4):
        running = [each.job for each in awaiting]
        full = len(awaiting) >= wire.MAX_BLOCKED_JOBS
        beat = wire.HeartbeatRequest(running=running, awaiting=awaiting, full=full, wait_s=0.0)
        await api.use_cases.slots.heartbeat.heartbeat(slot, beat)
        api.now += 4.0
    await api.server.background.deadlock.resolve()
