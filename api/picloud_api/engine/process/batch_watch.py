"""Batch watches: wakes requests that wait for jobs of a batch, or for a key of another noun."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator

Answer = TypeVar("Answer")

AT_ONCE: Final = 4
"""Requests that are woken in one round of the event loop: going on takes each 20 to 60 us."""


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

    def note(self, batches: Iterable[str]) -> None:
        """Note that some of its batches changed."""
        self._changed.update(batches)

    def wake(self) -> None:
        """Let the request go on, unless it has seen all changes by now."""
        if self._changed:
            self._event.set()


class BatchWatchers:
    """The watches of this process."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._asleep: dict[Watch, None] = {}
        """Those that are still to be woken, in this order."""
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

    async def until(
        self,
        key: str,
        ask: Callable[[], Awaitable[Answer]],
        is_enough: Callable[[Answer], bool],
        left_s: Callable[[], float],
        *,
        look_s: float = inf,
    ) -> Answer:
        """Ask until an answer is enough, again whenever a key has changed; return the last answer.

        Args:
            key: The key.
            ask: Returns an answer; it is called at least once.
            is_enough: Whether an answer ends the wait.
            left_s: Returns for how much longer the request may wait.
            look_s: How often it asks although it was not woken: for what no event announces.
        """
        with self.watch({key}) as watch:
            while True:
                watch.changed()
                answer = await ask()
                rest_s = left_s()
                if is_enough(answer) or rest_s <= 0 or self.closed:
                    return answer
                await watch.wait_for_change(min(rest_s, look_s))

    def watched(self, batch: str) -> bool:
        """Whether a request waits for jobs of a batch."""
        return batch in self._watches

    def wake(self, batch: str) -> None:
        """Wake the requests that watch a batch; hundreds of them a few at a time."""
        watches = self._watches.get(batch, ())
        for watch in watches:
            watch.note((batch,))
        if len(watches) <= AT_ONCE:
            for watch in watches:
                watch.wake()
            return
        is_waking = bool(self._asleep)
        self._asleep.update(dict.fromkeys(watches))
        if not is_waking:
            self._wake_some()

    def _wake_some(self) -> None:
        for watch in [*islice(self._asleep, AT_ONCE)]:
            del self._asleep[watch]
            watch.wake()
        if self._asleep:
            asyncio.get_running_loop().call_soon(self._wake_some)

    def close(self) -> None:
        """End all waits, as the server stops."""
        self.closed = True
        self.wake_all()

    def wake_all(self) -> None:
        """Wake every request: any batch may have changed."""
        for watch in {watch for waiting in self._watches.values() for watch in waiting}:
            watch.note(watch.batches)
            watch.wake()
