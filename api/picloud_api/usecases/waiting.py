"""Waiting: events with a timeout, and who waits for which batch to change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


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


class Watchers:
    """Wakes those who wait for jobs of a batch to finish."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self.closed = False
        """Whether the server stops: nobody is to wait any longer."""

    def add(self, batches: Iterable[str], event: asyncio.Event) -> None:
        """Set `event` whenever jobs of one of these batches become final."""
        for batch in batches:
            self._events.setdefault(batch, set()).add(event)

    def remove(self, batches: Iterable[str], event: asyncio.Event) -> None:
        """Stop setting it."""
        for batch in batches:
            waiting = self._events.get(batch)
            if waiting is not None:
                waiting.discard(event)
                if not waiting:
                    del self._events[batch]

    def watched(self, batch: str) -> bool:
        """Whether somebody waits for jobs of a batch."""
        return batch in self._events

    def wake(self, batch: str) -> None:
        """Jobs of a batch became final."""
        for event in self._events.get(batch, ()):
            event.set()

    def close(self) -> None:
        """The server stops: whoever waits is answered with what there is."""
        self.closed = True
        self.wake_all()

    def wake_all(self) -> None:
        """Anything may have changed."""
        for waiting in self._events.values():
            for event in waiting:
                event.set()
