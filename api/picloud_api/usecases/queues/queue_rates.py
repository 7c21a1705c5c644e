"""Rates: how many messages came, went and failed in each queue, every ten seconds for an hour."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from picloud_model.wire.queue import RATE_EVERY_S, RATES_KEPT, QueueRates

if TYPE_CHECKING:
    from collections.abc import Callable

_PUSHED, _REMOVED, _FAILED = range(3)


class _Counts:
    """The counts of a queue: three rings, in which a count replaces that of an hour before."""

    def __init__(self) -> None:
        self._rings = [array("L", bytes(array("L").itemsize * RATES_KEPT)) for _ in range(3)]
        self.last = 0

    def add(self, period: int, kind: int, count: int) -> None:
        """Add to a count of a period, which is the last one or a later one."""
        for passed in range(max(self.last + 1, period - RATES_KEPT + 1), period + 1):
            for ring in self._rings:
                ring[passed % RATES_KEPT] = 0
        self.last = max(self.last, period)
        self._rings[kind][period % RATES_KEPT] += count

    def before(self, period: int) -> list[list[int]]:
        """Return the counts of the hour before a period, the oldest first."""
        periods = range(period - RATES_KEPT + 1, period)
        return [
            [ring[each % RATES_KEPT] if each <= self.last else 0 for each in periods]
            for ring in self._rings
        ]


class QueueRateCounter:
    """Counts the messages that pass through this process.

    >>> moments = iter([20.0, 21.0, 25.0, 45.0])
    >>> counter = QueueRateCounter(lambda: next(moments))
    >>> counter.pushed("a0000001", "numbers", 3)
    >>> counter.pushed("a0000001", "numbers", 2)
    >>> counter.removed("a0000001", "numbers", 4)
    >>> rates = counter.of("a0000001", "numbers")
    >>> rates.until, rates.pushed, rates.removed, rates.failed
    (40.0, [5, 0], [4, 0], [0, 0])
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._queues: dict[tuple[str, str], _Counts] = {}

    def pushed(self, account: str, queue: str, count: int) -> None:
        """Count messages that were pushed."""
        self._add(account, queue, _PUSHED, count)

    def removed(self, account: str, queue: str, count: int) -> None:
        """Count messages that were acknowledged."""
        self._add(account, queue, _REMOVED, count)

    def failed(self, account: str, queue: str, count: int) -> None:
        """Count messages with which a handler failed."""
        self._add(account, queue, _FAILED, count)

    def forget(self, account: str, queue: str) -> None:
        """Forget the counts of a queue that is deleted."""
        self._queues.pop((account, queue), None)

    def of(self, account: str, queue: str) -> QueueRates:
        """Return the counts of a queue."""
        period = self._period()
        counts = self._queues.get((account, queue))
        lists = counts.before(period) if counts else [[], [], []]
        first = next((at for at, each in enumerate(zip(*lists, strict=True)) if any(each)), None)
        pushed, removed, failed = (each[first:] if first is not None else [] for each in lists)
        return QueueRates(
            queue=queue,
            until=float(period * RATE_EVERY_S),
            pushed=pushed,
            removed=removed,
            failed=failed,
        )

    def _add(self, account: str, queue: str, kind: int, count: int) -> None:
        if not count:
            return
        period = self._period()
        counts = self._queues.get((account, queue))
        if counts is None:
            # Room is made by those in which nothing has happened for an hour.
            old = [name for name, each in self._queues.items() if each.last <= period - RATES_KEPT]
            for name in old:
                del self._queues[name]
            counts = self._queues[account, queue] = _Counts()
        counts.add(period, kind, count)

    def _period(self) -> int:
        return int(self._clock() // RATE_EVERY_S)
