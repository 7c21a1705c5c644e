"""Rate limits: how often the URL of an endpoint may be called."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from picloud_model.errors import TooManyCalls

from picloud_api.store.rest_record import CallRateRecord, rate_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_api.store.commits import Commits
    from picloud_api.store.draft import Draft

_MINUTE_S: Final = 60.0
_MANY: Final = 10_000
"""With so many endpoints, those that were not called for a minute are forgotten."""


class CallRates:
    """Counts the calls of endpoints.

    After a minute without calls as many as a minute has may come at once; then they must come at
    the rate of the limit. Where several processes share a state store they count together: a call
    of an endpoint that has a limit is one more write there. Others cost nothing.

    Args:
        commits: Changes the state store.
        clock: Returns the time in seconds.
    """

    def __init__(self, commits: Commits, clock: Callable[[], float]) -> None:
        self._commits = commits
        self._clock = clock
        self._free_at: dict[str, float] = {}
        """When each endpoint will have all of its calls again, as far as this process counts."""

    async def take(self, account: str, label: str, calls_per_minute: int) -> None:
        """Count a call.

        Args:
            account: The account of the endpoint.
            label: Its label.
            calls_per_minute: Its limit; 0 for none.

        Raises:
            TooManyCalls: When it is one too many.
        """
        if not calls_per_minute:
            return
        key = rate_key(account, label)
        if not self._commits.view.state.shared:
            self._count(key, calls_per_minute)
            return

        async def plan(draft: Draft) -> None:
            record: CallRateRecord | None = await draft.fresh(key)
            free_at = record.free_at if record is not None else 0.0
            draft.put(key, CallRateRecord(after_call(free_at, self._clock(), calls_per_minute)))

        await self._commits.run(plan)

    def _count(self, key: str, calls_per_minute: int) -> None:
        now = self._clock()
        free_at = after_call(self._free_at.get(key, 0.0), now, calls_per_minute)
        if len(self._free_at) >= _MANY:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
        self._free_at[key] = free_at


def after_call(free_at: float, now: float, calls_per_minute: int) -> float:
    """Return when an endpoint will have all of its calls again, after one more call.

    This is the generic cell rate algorithm.

    Args:
        free_at: When it would have them without this call.
        now: The time; after it was set back, at most a minute counts as used.
        calls_per_minute: The limit of the endpoint.

    Raises:
        TooManyCalls: When it is one too many.

    >>> after_call(0.0, 100.0, 2), after_call(130.0, 100.0, 2)
    (130.0, 160.0)
    >>> after_call(160.0, 100.0, 2)
    Traceback (most recent call last):
        ...
    picloud_model.errors.TooManyCalls: This function takes 2 calls a minute; call it again in 30 s.
    """
    later = min(max(free_at, now), now + _MINUTE_S) + _MINUTE_S / calls_per_minute
    # The sum of many intervals may be a little more than a minute.
    excess_s = later - now - _MINUTE_S - 1e-6
    if excess_s > 0:
        wait_s = math.ceil(excess_s)
        raise TooManyCalls(
            f"This function takes {calls_per_minute:,} calls a minute; call it again in "
            f"{wait_s} s.",
            retry_after_s=wait_s,
        )
    return later
