"""Run times: how long jobs take, from the reports; a hint for lease sizes, and for metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, OrderedDict
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_S: Final = 0.0001
"""A job costs at least this much around the user's code."""
REMEMBERED: Final = 10_000
"""Functions whose run times are kept."""
BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0),
)
"""The bounds of histograms of times."""


class RunTimes:
    """Mean seconds of a job by account and digest of its function; newer jobs weigh more.

    Reports of one account change nothing for another one that runs the same function.

    >>> run_times = RunTimes()
    >>> run_times.learn(("a", "f"), 2.0, 10)
    >>> run_times.seconds(("a", "f")), run_times.seconds(("b", "f"))
    (0.2, None)
    """

    def __init__(self) -> None:
        self._mean: OrderedDict[tuple[str, str], float] = OrderedDict()

    def seconds(self, function: tuple[str, str]) -> float | None:
        """Return the mean, or None for a function that was never measured."""
        return self._mean.get(function)

    def learn(self, function: tuple[str, str], seconds: float, jobs: int) -> None:
        """Add that `jobs` jobs took `seconds` together."""
        latest = max(LEAST_S, seconds / jobs)
        before = self._mean.pop(function, latest)
        # Slower jobs count at once, faster ones gradually: a lease that is too long blocks others.
        self._mean[function] = latest if latest > before else (before + latest) / 2
        if len(self._mean) > REMEMBERED:
            self._mean.popitem(last=False)


class Histogram:
    """How many times were at most as long as each bound, as Prometheus counts them.

    >>> times = Histogram((1.0, 5.0))
    >>> for seconds in (0.5, 3.0, 9.0):
    ...     times.add(seconds)
    >>> times.at_most, times.count, times.total_s
    ([1, 2], 3, 12.5)
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.total_s += seconds

    @property
    def at_most(self) -> Sequence[int]:
        """How many times were at most as long as each bound."""
        return list(accumulate(self._counts[:-1]))

    @property
    def count(self) -> int:
        """How many times were counted."""
        return sum(self._counts)


class PhaseTimes:
    """What the jobs have taken whose reports this process has stored: a histogram for each phase.

    `wait` is from a job's creation to its start, `run` from its start to its end, and `report` from
    there until its result was stored. `core_ms` is on which cores they ran, by account, core type
    and environment, since it was last taken.
    """

    def __init__(self) -> None:
        self.phases = {name: Histogram(BOUNDS_S) for name in ("wait", "run", "report")}
        self._core_ms: Counter[tuple[str, str, str | None]] = Counter()

    def add(self, created_at: float, started_at: float, finished_at: float, now: float) -> None:
        """Count a job; the clocks of slots may differ from that of the server."""
        if started_at:
            self.phases["wait"].add(max(0.0, started_at - created_at))
            self.phases["run"].add(max(0.0, finished_at - started_at))
        self.phases["report"].add(max(0.0, now - finished_at))

    def add_cores(self, cores: tuple[str, str, str | None], core_ms: int) -> None:
        """Count for how long jobs have had cores."""
        self._core_ms[cores] += core_ms

    def take_core_ms(self) -> Counter[tuple[str, str, str | None]]:
        """Return for how long jobs have had cores since the last time."""
        taken, self._core_ms = self._core_ms, Counter()
        return taken
