"""Batch watches: a request is woken by the batches that it watches, and told which changed."""

from __future__ import annotations

import asyncio

from picloud_api.engine.process.batch_watch import BatchWatchers, wait_for_event


async def test_everything_has_changed_at_first() -> None:
    """A request looks at all its batches once, then only at those that have changed."""
    watchers = BatchWatchers()
    with watchers.watch({"b1", "b2"}) as watch:
        assert watch.changed() == {"b1", "b2"}
        assert watch.changed() == set()
        watchers.wake("b2")
        watchers.wake("b3")
        assert watch.changed() == {"b2"}


async def test_a_wait_ends_with_a_change_or_its_time() -> None:
    """It says which of the two it was."""
    watchers = BatchWatchers()
    with watchers.watch({"b1"}) as watch:
        watch.changed()
        assert not await watch.wait_for_change(0.001)
        waiting = asyncio.create_task(watch.wait_for_change(10.0))
        await asyncio.sleep(0)
        watchers.wake("b1")
        assert await waiting


async def test_all_requests_are_woken_at_the_end() -> None:
    """A server that stops answers each of them with what there is."""
    watchers = BatchWatchers()
    with watchers.watch({"b1"}) as one, watchers.watch({"b2"}) as two:
        one.changed()
        two.changed()
        watchers.close()
        assert watchers.closed
        assert (one.changed(), two.changed()) == ({"b1"}, {"b2"})


def test_nothing_is_watched_after_a_request() -> None:
    """Two requests may watch one batch; it is watched until both have ended."""
    watchers = BatchWatchers()
    with watchers.watch({"b1"}):
        with watchers.watch({"b1", "b2"}):
            assert watchers.watched("b2")
        assert watchers.watched("b1")
        assert not watchers.watched("b2")

    assert not watchers.watched("b1")


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    """No timer is started for it."""
    event = asyncio.Event()
    assert not await wait_for_event(event, 0.001)
    event.set()
    assert await wait_for_event(event, 0.0)
