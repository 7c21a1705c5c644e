"""Batch watches: wakes requests that wait for jobs of a batch, or for a key of another noun."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait until an event is set; return whether it was set within `timeout_s`."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True


class Watch:
    """What one request watches, and which of these batches changed since it last looked."""

    def __init__(self, batches: Collection[str]) -> None:
        self.batches = batches
        self._changed = set(batches)
        self._event = asyncio.Event()
        self._event.set()

    def changed(self) -> set[str]:
        """Return the batches that changed since the last call; the first time all of them."""
        changed, self._changed = self._changed, set()
        self._event.clear()
        return changed

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until a batch has changed; return whether one did within `timeout_s`."""
        return await wait_for_event(self._event, timeout_s)

    def wake(self, batches: Iterable[str]) -> None:
        """Note that some of its batches changed."""
        self._changed.update(batches)
        self._event.set()


class BatchWatchers:
    """The watches of this process."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self.closed = False
        """Whether the server stops: then no request waits."""

    @contextlib.contextmanager
    def watch(self, batches: Collection[str]) -> Iterator[Watch]:
        """Watch some batches for the length of a `with` block."""
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
        """Whether a request waits for jobs of a batch."""
        return batch in self._watches

    def wake(self, batch: str) -> None:
        """Wake the requests that watch a batch."""
        for watch in self._watches.get(batch, ()):
            watch.wake((batch,))

    def close(self) -> None:
        """End all waits, as the server stops."""
        self.closed = True
        self.wake_all()

    def wake_all(self) -> None:
        """Wake every request: any batch may have changed."""
        for watch in {watch for waiting in self._watches.values() for watch in waiting}:
            watch.wake(watch.batches)
