"""Rate limits: how often the URL of an endpoint may be called."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from picloud_model.errors import TooManyCalls

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE_S: Final = 60.0
_MANY: Final = 10_000
"""With so many endpoints, those that were not called for a minute are forgotten."""


class CallRates:
    """Counts the calls of endpoints in this process, by the generic cell rate algorithm.

    After a minute without calls as many as a minute has may come at once; then they must come at
    the rate of the limit.

    Args:
        clock: Returns the time in seconds; it never goes back.

    >>> times = iter([0.0, 0.0, 0.0, 30.0])
    >>> rates = CallRates(lambda: next(times))
    >>> rates.take("e", 2), rates.take("e", 2)
    (None, None)
    >>> rates.take("e", 2)
    Traceback (most recent call last):
        ...
    picloud_model.errors.TooManyCalls: This function takes 2 calls a minute; call it again in 30 s.
    >>> rates.take("e", 2)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_at: dict[str, float] = {}
        """When each endpoint will have all of its calls again."""

    def take(self, endpoint: str, calls_per_minute: int) -> None:
        """Count a call.

        Args:
            endpoint: The key of the endpoint.
            calls_per_minute: Its limit; 0 for none.

        Raises:
            TooManyCalls: When it is one too many.
        """
        if not calls_per_minute:
            return
        now = self._clock()
        free_at = max(self._free_at.get(endpoint, now), now) + _MINUTE_S / calls_per_minute
        # The sum of many intervals may be a little more than a minute.
        excess_s = free_at - now - _MINUTE_S - 1e-6
        if excess_s > 0:
            wait_s = math.ceil(excess_s)
            raise TooManyCalls(
                f"This function takes {calls_per_minute:,} calls a minute; call it again in "
                f"{wait_s} s.",
                retry_after_s=wait_s,
            )
        if len(self._free_at) >= _MANY:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
        self._free_at[endpoint] = free_at
