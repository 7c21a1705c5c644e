"""Run times: how long the jobs of a function take, from the reports; a hint for lease sizes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

LEAST_S: Final = 0.0001
"""A job costs at least this much around the user's code."""
REMEMBERED: Final = 10_000
"""Functions whose run times are kept."""


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
