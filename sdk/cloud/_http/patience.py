"""How long to wait: for jobs, and while the server, or a service that it needs, is away."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from picloud_model import wire
from picloud_model.errors import AccountBusy

from cloud.errors import CloudConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._http.transport import Transport
    from cloud.errors import CloudTimeoutError

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
"""How often a wait says what cannot be reached."""
_KEPT: Final = (
    ": jobs and results are kept, and the server continues with them once it is up again "
    "(`picloud up`)"
)
PAUSE_S: Final = 0.5
"""Pause after a request that failed, in addition to those between its attempts."""


class Patience:
    """Decides how long one wait bears with failing requests: `cloud.config.patience_s`.

    Args:
        transport: Knows whether the server has ever answered.
        limit_s: How long requests may fail in a row; None for no limit.
        clock: Monotonic seconds.
        sleep: Waits.
    """

    def __init__(
        self,
        transport: Transport,
        limit_s: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._limit_s = limit_s
        self._clock = clock
        self._sleep = sleep
        self._since: float | None = None
        self._said_at = 0.0

    def deadline(self, timeout_s: float | None) -> float | None:
        """Return the time at which a timeout that begins now is reached; None without one."""
        return None if timeout_s is None else self._clock() + timeout_s

    def until(
        self,
        attempt: Callable[[float], bool],
        deadline: float | None,
        expired: Callable[[], CloudTimeoutError],
    ) -> None:
        """Repeat requests until one of them brings what is waited for.

        Args:
            attempt: Sends a request, which the server may hold for as many seconds as it is given,
                and returns whether that was enough. At the deadline it is given 0.
            deadline: When the wait has to be over; None for no limit.
            expired: Returns the error for a wait that is over too early.

        Raises:
            CloudTimeoutError: What `expired` returns.
            CloudConnectionError: When requests have failed for too long.
        """
        is_last = False
        while not is_last:
            left_s = wire.LONGEST_POLL_S if deadline is None else deadline - self._clock()
            is_last = left_s <= 0
            try:
                is_enough = attempt(min(max(left_s, 0.0), wire.LONGEST_POLL_S))
            except CloudConnectionError as error:
                if is_last:
                    raise expired() from error
                self.bear(error)
                continue
            self.recovered()
            if is_enough:
                return
        raise expired()

    def bear(self, error: CloudConnectionError) -> None:
        """Bear with a request that failed; pause, and every few seconds say what is missing.

        Raises:
            CloudConnectionError: The error, when no server has answered yet, so that the address is
                likely wrong, or when requests have failed for too long.
        """
        now = self._clock()
        if self._since is None:
            self._since = self._said_at = now
        failing_s = now - self._since
        if not self._transport.has_answered:
            raise error
        if self._limit_s is not None and failing_s >= self._limit_s:
            raise error
        if now - self._said_at >= EVERY_S:
            self._said_at = now
            log.warning(
                "%s Still waiting after %.0f s%s. Ctrl-C stops the wait.",
                _sentence(error),
                failing_s,
                "" if error.code in (None, AccountBusy.code) else _KEPT,
            )
        self._sleep(PAUSE_S)

    def recovered(self) -> None:
        """Note that a request succeeded."""
        self._since = None


def _sentence(error: CloudConnectionError) -> str:
    """Return the error as a sentence.

    >>> _sentence(Exception("consul does not answer"))
    'consul does not answer.'
    """
    text = str(error).rstrip()
    return text if text.endswith(".") else f"{text}."
