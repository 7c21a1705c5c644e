"""The pace at which the messages of a queue are taken, where that is limited."""

from __future__ import annotations

import math
from typing import Final

_BURST_S: Final = 0.1
"""Messages of how long a time are given out at once after a pause, at most."""


class Pace:
    """Counts what was taken against a number of messages a second.

    After a pause, a tenth of that number is given out at once, and one message at least.

    >>> pace = Pace()
    >>> pace.allowed(5.0, now=100.0)
    1
    >>> pace.spend(1, 5.0, now=100.0)
    >>> pace.allowed(5.0, now=100.1), round(pace.wait_s(5.0, now=100.1), 3)
    (0, 0.1)
    """

    def __init__(self) -> None:
        self._spent_until = -math.inf
        """When everything that was taken would have come, one message after the other."""

    def allowed(self, per_second: float, now: float) -> int:
        """Return how many messages may be taken now.

        Args:
            per_second: How many a second; another number holds from now on.
            now: The present time in seconds, by a clock that never goes back.
        """
        return int((now - self._since(per_second, now)) * per_second + 1e-6)

    def spend(self, count: int, per_second: float, now: float) -> None:
        """Note that messages were taken."""
        self._spent_until = self._since(per_second, now) + count / per_second

    def wait_s(self, per_second: float, now: float) -> float:
        """Return the seconds until a message may be taken."""
        return max(0.0, self._since(per_second, now) + 1 / per_second - now)

    def _since(self, per_second: float, now: float) -> float:
        return max(self._spent_until, now - max(_BURST_S, 1 / per_second))
