"""Measures how long the server has been away, over all connections of this slot."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Outage:
    """An outage starts with the first failure after the last answer.

    Args:
        grace_s: How long the server may be away, in seconds.
        clock: Monotonic seconds.

    >>> now = [0.0]
    >>> outage = Outage(grace_s=30.0, clock=lambda: now[0])
    >>> outage.failed()
    >>> now[0] = 31.0
    >>> outage.lost
    True
    """

    def __init__(self, grace_s: float, clock: Callable[[], float]) -> None:
        self._grace_s = grace_s
        self._clock = clock
        self._lock = threading.Lock()
        self._away_since: float | None = None

    def answered(self) -> None:
        """Note that the server has answered."""
        self._away_since = None

    def failed(self) -> None:
        """Note that a request got no answer."""
        with self._lock:
            if self._away_since is None:
                self._away_since = self._clock()

    @property
    def lost(self) -> bool:
        """Whether the server has been away for longer than this slot may wait."""
        since = self._away_since
        return since is not None and self._clock() - since > self._grace_s
