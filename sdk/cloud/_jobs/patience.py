"""How long to wait: for jobs, and while the server, or a service that it needs, is away."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from picloud_model import wire
from picloud_model.errors import AccountBusy

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._http.transport import Transport
    from cloud.errors import CloudConnectionError

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0
"""How often a wait says what cannot be reached."""
_KEPT: Final = (
    "; jobs and results are kept, and the server goes on with them when it is up again "
    "(`picloud up`)"
)
PAUSE_S: Final = 0.5
"""Pause after a request that failed, in addition to those between its attempts."""


def remaining(timeout_s: float | None, started: float, now: float) -> float:
    """Return the seconds left of a wait; without a timeout, as long as one request may wait.

    >>> remaining(5.0, started=100.0, now=103.0), remaining(5.0, started=100.0, now=106.0)
    (2.0, 0.0)
    """
    if timeout_s is None:
        return wire.LONGEST_POLL_S
    return max(0.0, timeout_s - (now - started))


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
                "%s Waiting on, for %.0f s now%s. Ctrl-C stops the wait.",
                _sentence(error),
                failing_s,
                "" if error.code == AccountBusy.code else _KEPT,
            )
        self._sleep(PAUSE_S)

    def recovered(self) -> None:
        """Note that a request succeeded."""
        self._since = None


def _sentence(error: CloudConnectionError) -> str:
    """The error as a sentence.

    >>> _sentence(Exception("consul does not answer"))
    'consul does not answer.'
    """
    text = str(error).rstrip()
    return text if text.endswith(".") else f"{text}."
