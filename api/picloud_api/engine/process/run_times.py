"""Run times: how long a function's jobs take, measured from reports; a hint for lease sizes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

LEAST_S: Final = 0.0001
"""A job costs at least this much around the user's code."""
REMEMBERED: Final = 10_000


class RunTimes:
    """Mean seconds of a job by account and digest of its function, newer jobs weighing more.

    What the slots of one account say changes nothing for another, be the function the same.

    >>> pace = RunTimes()
    >>> pace.learn(("a", "f"), 2.0, 10)
    >>> pace.seconds(("a", "f")), pace.seconds(("b", "f"))
    (0.2, None)
    """

    def __init__(self) -> None:
        self._mean: OrderedDict[tuple[str, str], float] = OrderedDict()

    def seconds(self, function: tuple[str, str]) -> float | None:
        """The mean, or None for a function never measured."""
        return self._mean.get(function)

    def learn(self, function: tuple[str, str], seconds: float, jobs: int) -> None:
        """Take note that `jobs` jobs took `seconds` together."""
        latest = max(LEAST_S, seconds / jobs)
        before = self._mean.pop(function, latest)
        # A slower job counts at once, a faster one bit by bit: a lease too long blocks others.
        self._mean[function] = latest if latest > before else (before + latest) / 2
        if len(self._mean) > REMEMBERED:
            self._mean.popitem(last=False)
