"""The timeline of a campaign: which fault was when, and when nothing of the platform ran at all."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Period(NamedTuple):
    """A fault, or a time without the platform, in seconds of one clock."""

    what: str
    began_at: float
    ended_at: float

    def overlap_s(self, began_at: float, ended_at: float) -> float:
        """Return how many seconds of another period this one covers."""
        return max(0.0, min(self.ended_at, ended_at) - max(self.began_at, began_at))


class Timeline:
    """Notes the faults of a campaign; for several threads.

    Args:
        clock: Seconds since the epoch, as the server counts them.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.faults: list[Period] = []
        self._downs: list[Period] = []
        self._down_since: float | None = None

    @contextmanager
    def fault(self, what: str) -> Iterator[None]:
        """Note a fault, for the length of a `with` block."""
        began_at = self.clock()
        try:
            yield
        finally:
            self.faults.append(Period(what, began_at, self.clock()))

    @contextmanager
    def down(self) -> Iterator[None]:
        """Note that no process of the API lives, for the length of a `with` block.

        It begins when the last one is dead, and ends when the API that was started again serves.
        """
        began_at = self._down_since = self.clock()
        try:
            yield
        finally:
            self._downs.append(Period("down", began_at, self.clock()))
            self._down_since = None

    def down_s(self, began_at: float, ended_at: float) -> float:
        """Return how many seconds between two times no process of the API lived."""
        since = self._down_since
        downs = [*self._downs] if since is None else [*self._downs, Period("down", since, ended_at)]
        return sum(down.overlap_s(began_at, ended_at) for down in downs)

    def near(self, began_at: float, ended_at: float, before_s: float) -> list[Period]:
        """Return the faults between two times, and those that ended up to `before_s` earlier."""
        return [
            fault
            for fault in self.faults
            if fault.ended_at >= began_at - before_s and fault.began_at <= ended_at
        ]
