"""Recovery: the ready queue of a process is rebuilt from the state store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_api.store import layout
from picloud_api.store.records import Ready
from picloud_driver.state import Put

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_driver.scheduler import Pool

    from tests.unit.api.api_harness import ApiHarness


async def empty_queue(api: ApiHarness) -> Pool:
    """Drop all batches from the queue; return their pool."""
    (pool,) = api.server.context.ready_queue.pools()
    for queued in list(api.server.context.ready_queue.batches(pool)):
        api.server.context.ready_queue.drop(queued.account, queued.batch)
    return pool


async def test_batches_with_free_jobs_are_queued(api: ApiHarness) -> None:
    """Only their pages with free jobs."""
    await api.submit(2500)
    pool = await empty_queue(api)

    await api.server.background.recovery.recover()

    (queued,) = api.server.context.ready_queue.batches(pool)
    assert sorted(queued.pages) == [0, 1, 2]


async def test_a_batch_whose_jobs_are_all_leased_is_not_queued(api: ApiHarness) -> None:
    """It is unfinished, but has nothing to lease."""
    await api.submit(1)
    slot = await api.slot()
    assert (await api.work(slot)).leases

    await api.server.background.recovery.recover()

    assert api.server.context.ready_queue.pools() == []


async def test_a_batch_that_waits_is_not_queued(api: ApiHarness) -> None:
    """Its jobs are not free before what they depend on has ended."""
    (first,) = await api.submit(1)
    request = msgspec.structs.replace(api.request(1), depends_on=[(first, first)])
    await api.send(request)
    pool = await empty_queue(api)

    await api.server.background.recovery.recover()

    (queued,) = api.server.context.ready_queue.batches(pool)
    assert queued.first == first


async def test_slots_are_woken_for_what_is_found(api: ApiHarness) -> None:
    """A slot that waits need not wait for the next submit."""
    await api.submit(1)
    slot = await api.slot()
    await empty_queue(api)
    with api.server.context.slot_sessions.waiting(slot) as woken:
        unfinished = await api.server.context.commits.view.scan(Ready.prefix)

        await api.server.background.recovery.queue_free(unfinished)

        assert woken.done()


async def test_a_page_that_cannot_be_read_stops_no_start(api: ApiHarness) -> None:
    """All other batches are queued."""
    newer = api.request(1)
    await api.send(newer)
    page = layout.page(layout.PageId(ACCOUNT, newer.submit_id, 0))
    await api.submit(1)
    await api.state.commit([Put(page, b"\x94")])
    await api.stop()

    await api.start()

    (pool,) = api.server.context.ready_queue.pools()
    (queued,) = api.server.context.ready_queue.batches(pool)
    assert queued.batch != newer.submit_id
