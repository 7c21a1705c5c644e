"""When a process is compared with what it was: after each job, or after some quick ones together.

A comparison takes about 25 microseconds, which is more than a quick job. So once the jobs of a
function have left nothing behind for a while, it is made only every two milliseconds while such
jobs follow each other, and after the last job at hand was reported.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

CLEAN_CHECKS: Final = 20
"""So many comparisons in a row have to find nothing before some are left out."""
INTERVAL_S: Final = 0.002
"""Longest time in which quick jobs run without a comparison."""
_REMEMBERED: Final = 100
_NEVER: Final = -1


class CheckSchedule:
    """Says after which jobs to compare; learns from what the comparisons find.

    >>> schedule = CheckSchedule()
    >>> for _ in range(CLEAN_CHECKS):
    ...     schedule.checked("f", 0.0, found=False)
    >>> schedule.is_due("f", 0.001), schedule.is_due("f", 0.002), schedule.is_due("g", 0.0)
    (False, True, True)
    >>> schedule.checked("f", 0.002, found=True)
    >>> schedule.is_due("f", 0.0021)
    True
    """

    def __init__(self) -> None:
        self._clean: OrderedDict[str, int] = OrderedDict()
        self._checked_at = 0.0
        self._trusted = ""

    def is_trusted(self, function: str) -> bool:
        """Whether the jobs of a function have left nothing behind for a while."""
        return function == self._trusted

    def is_due(self, function: str, now: float) -> bool:
        """Whether to compare after a job of a function, by its digest, that ended now."""
        return function != self._trusted or not 0.0 <= now - self._checked_at < INTERVAL_S

    def checked(self, function: str, now: float, *, found: bool) -> None:
        """Note a comparison, and whether it found something changed.

        A function whose jobs have left something is compared after each job from then on.
        """
        self._checked_at = now
        clean = self._clean.pop(function, 0)
        clean = _NEVER if found or clean == _NEVER else clean + 1
        self._clean[function] = clean
        self._trusted = function if clean >= CLEAN_CHECKS else ""
        if len(self._clean) > _REMEMBERED:
            self._clean.popitem(last=False)
