"""Leases by slot: what a slot holds, and what is queued when it no longer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.engine.scheduling.slot_leases import leases_of, requeue

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_a_slot_holds_what_it_leased_until_it_reports(api: ApiHarness) -> None:
    """Each job by its batch, index and attempt; nothing of other slots."""
    await api.submit(2)
    one, two = await api.slot(), await api.slot()
    (lease,) = (await api.work(one)).leases
    await api.work(two)
    view = api.server.context.commits.view

    held = await leases_of(view, ACCOUNT, one.number)
    await api.work(one, reports=[report_of(lease)], lease=False)

    assert held == [(lease.batch, lease.jobs[0].index, lease.jobs[0].attempt)]
    assert await leases_of(view, ACCOUNT, one.number) == []
    assert len(await leases_of(view, ACCOUNT, two.number)) == 1


async def test_queued_pages_wake_a_slot_each(api: ApiHarness) -> None:
    """Pages that are given back are in the queue again; those of finished batches are not."""
    await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    queue, pool = api.server.context.ready_queue, slot.pool
    assert queue.jobs(pool, 10) == 0

    with api.server.context.slot_sessions.waiting(slot) as woken:
        await requeue(api.server.context, ACCOUNT, [(lease.batch, 0), ("finished", 0)])

    assert woken.done()
    assert [queued.batch for queued in queue.batches(pool)] == [lease.batch]
