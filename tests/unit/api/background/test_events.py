"""Events: what a process does when it, or another one, has changed something."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_api.store import layout
from picloud_api.store.records import BatchId, Event, EventKind, Ready

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def only_batch(api: ApiHarness) -> tuple[BatchId, Ready]:
    """Submit a call and return its batch with the ready marker."""
    await api.submit(1)
    ((key, ready),) = (await api.server.context.commits.view.scan(Ready.prefix)).items()
    return Ready.parse(key), ready


async def test_a_ready_batch_is_queued_and_given_slots(api: ApiHarness) -> None:
    """An event that comes twice queues it once."""
    batch, ready = await only_batch(api)
    queue = api.server.context.ready_queue
    queue.drop(*batch)

    for _ in range(2):
        api.server.background.events.on_event(Event(EventKind.READY, *batch))
    await api.wait_until(lambda: _jobs(api, ready), 1)

    assert queue.knows(*batch)
    assert api.scheduler.bursts


async def _jobs(api: ApiHarness, ready: Ready) -> int:
    return api.server.context.ready_queue.jobs(ready.pool, 10)


async def test_a_kill_wakes_the_slots_of_its_account(api: ApiHarness) -> None:
    """They learn of it by the answer to their long polls."""
    slot = await api.slot()

    api.server.background.events.on_event(Event(EventKind.KILL, "a9999999", "b1"))
    assert not slot.heartbeat_wakeup.is_set()
    api.server.background.events.on_event(Event(EventKind.KILL, ACCOUNT, "b1"))

    assert slot.heartbeat_wakeup.is_set()


async def test_finished_jobs_wake_the_requests_that_wait_for_them(api: ApiHarness) -> None:
    """So does the start of a job, which some requests wait for."""
    watchers = api.server.context.batch_watchers
    with watchers.watch({"b1"}) as watch:
        for kind in (EventKind.FINISHED, EventKind.STARTED):
            watch.changed()
            api.server.background.events.on_event(Event(kind, ACCOUNT, "b1"))
            assert watch.changed() == {"b1"}


async def test_remote_events_concern_what_waits_here(api: ApiHarness) -> None:
    """A process that waits for nothing of it may read the change logs less often."""
    events = api.server.background.events
    finished = Event(EventKind.FINISHED, ACCOUNT, "b1")
    made = Event(EventKind.READY, ACCOUNT, "b1")

    assert not await events.on_remote_events([finished, made])
    with api.server.context.batch_watchers.watch({"b1"}):
        assert await events.on_remote_events([finished])
    slot = await api.slot()
    with api.server.context.slot_sessions.waiting(slot):
        assert await events.on_remote_events([made])


async def test_a_remote_batch_is_read_and_queued(api: ApiHarness) -> None:
    """What this process had cached of it may be old."""
    batch, ready = await only_batch(api)
    api.server.context.ready_queue.drop(*batch)
    view = api.server.context.commits.view
    view.install(layout.ready(*batch), "old", 0)

    await api.server.background.events.on_remote_events([Event(EventKind.READY, *batch)])

    assert view.peek(layout.ready(*batch)) == ready
    assert api.server.context.ready_queue.knows(*batch)


async def test_a_remote_batch_that_has_finished_is_not_queued(api: ApiHarness) -> None:
    """Its ready marker is gone before its event is read."""
    await api.server.background.events.on_remote_events([Event(EventKind.READY, ACCOUNT, "gone")])

    assert not api.server.context.ready_queue.knows(ACCOUNT, "gone")


async def test_a_resync_finds_what_no_event_has_announced(api: ApiHarness) -> None:
    """Everything is read again, and all waiting requests look again."""
    batch, ready = await only_batch(api)
    api.server.context.ready_queue.drop(*batch)
    with api.server.context.batch_watchers.watch({"b1"}) as watch:
        watch.changed()

        await api.server.background.events.resync()

        assert watch.changed() == {"b1"}
    assert api.server.context.ready_queue.jobs(ready.pool, 10) == 1


async def test_what_events_began_ends_with_the_server(api: ApiHarness) -> None:
    """No task is left."""
    api.server.background.events.on_event(Event(EventKind.READY, ACCOUNT, "b1"))

    await api.server.background.events.stop()

    await asyncio.sleep(0)
    assert not api.server.background.events._tasks
