"""Batch watches: a request is woken by the batches that it watches, and told which changed."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from picloud_api.engine.process.batch_watch import AT_ONCE, BatchWatchers, wait_for_event


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


async def test_hundreds_of_requests_are_woken_a_few_at_a_time() -> None:
    """What else there is runs between them; each is woken once, and sees all changes."""
    watchers, woken = BatchWatchers(), list[set[str]]()
    with ExitStack() as stack:
        watches = [stack.enter_context(watchers.watch({"b1", "b2"})) for _ in range(200)]
        for watch in watches:
            watch.changed()

        async def wait(number: int) -> None:
            assert await watches[number].wait_for_change(30.0)
            woken.append(watches[number].changed())

        waiting = [asyncio.create_task(wait(number)) for number in range(200)]
        await asyncio.sleep(0)
        watchers.wake("b1")
        watchers.wake("b2")
        most = 0
        while len(woken) < 200:
            before = len(woken)
            await asyncio.sleep(0)
            most = max(most, len(woken) - before)
        await asyncio.gather(*waiting)

    assert most <= AT_ONCE
    assert woken == [{"b1", "b2"}] * 200


async def test_a_request_that_has_seen_a_change_is_not_woken_for_it() -> None:
    """It looked by itself before its turn to be woken came."""
    watchers = BatchWatchers()
    with ExitStack() as stack:
        watches = [stack.enter_context(watchers.watch({"b1"})) for _ in range(2 * AT_ONCE)]
        for watch in watches:
            watch.changed()
        watchers.wake("b1")
        for watch in watches:
            assert watch.changed() == {"b1"}
        await asyncio.sleep(0)

        assert not await watches[-1].wait_for_change(0.001)


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


async def test_a_question_is_asked_again_when_its_key_changes() -> None:
    """Until its answer is enough, the time is over, or the server stops."""
    watchers, asked, left = BatchWatchers(), list[int](), [10.0]

    async def ask() -> int:
        asked.append(len(asked))
        return asked[-1]

    def waiting() -> asyncio.Task[int]:
        wait = watchers.until("k", ask, lambda answer: answer == 2, lambda: left[0], look_s=10.0)
        return asyncio.create_task(wait)

    task = waiting()
    for count in (1, 2):
        await asyncio.sleep(0)
        assert len(asked) == count
        watchers.wake("k")
    assert await task == 2

    left[0] = 0.0
    assert await waiting() == 3
    left[0] = 10.0
    watchers.close()
    assert await waiting() == 4
    assert not watchers.watched("k")
