"""Waiting: events with a timeout, who waits for which batches, and which of these changed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until an event is set; whether it was, or the time was over."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Watch:
    """Somebody who waits for jobs of some batches, and which of these changed meanwhile."""

    def __init__(self, batches: Collection[str]) -> None:
        self.batches = batches
        self._changed = set(batches)
        self._event = asyncio.Event()
        self._event.set()

    def changed(self) -> set[str]:
        """The batches to look at since this was last asked: all of them, the first time."""
        found, self._changed = self._changed, set()
        self._event.clear()
        return found

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until a batch has changed; False when the time is over first."""
        return await wait_for_event(self._event, timeout_s)

    def wake(self, batches: Iterable[str]) -> None:
        """Some of its batches changed."""
        self._changed.update(batches)
        self._event.set()


class BatchWatchers:
    """Wakes those who wait for jobs of a batch to finish."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self.closed = False
        """Whether the server stops: nobody is to wait any longer."""

    @contextlib.contextmanager
    def watch(self, batches: Collection[str]) -> Iterator[Watch]:
        """Be woken whenever jobs of one of these batches become final."""
        watch = Watch(batches)
        for batch in batches:
            self._watches.setdefault(batch, set()).add(watch)
        try:
            yield watch
        finally:
            for batch in batches:
                waiting = self._watches[batch]
                waiting.discard(watch)
                if not waiting:
                    del self._watches[batch]

    def watched(self, batch: str) -> bool:
        """Whether somebody waits for jobs of a batch."""
        return batch in self._watches

    def wake(self, batch: str) -> None:
        """Jobs of a batch became final."""
        for watch in self._watches.get(batch, ()):
            watch.wake((batch,))

    def close(self) -> None:
        """The server stops: whoever waits is answered with what there is."""
        self.closed = True
        self.wake_all()

    def wake_all(self) -> None:
        """Anything may have changed."""
        for watch in {watch for waiting in self._watches.values() for watch in waiting}:
            watch.wake(watch.batches)
