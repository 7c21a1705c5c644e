"""`cloud.wait_for`: block until a job has a status, or listens on a port."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from cloud._client.current import client
from cloud._jobs.option_values import whole
from cloud.errors import CloudException, CloudTimeoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOK_S: Final = 0.5
"""How often a job is asked for its ports: only a look tells that one was opened."""
_PROTOCOLS: Final = ("tcp", "udp")
_LARGEST_PORT: Final = 65535
_ENDED: Final = ("done", "error", "killed", "stalled")


def status(jid: Any, test_status: str | Sequence[str], timeout: float | None = None) -> Any:
    """Wait until a job has a status.

    Args:
        jid: One jid, or any iterable of them: then until all have.
        test_status: The status, or a list of those that will do.
        timeout: Longest time to wait, in seconds; None is for ever.

    Returns:
        The status that it has, or a list of them.

    Raises:
        CloudException: When a job is final and so will never have that status.
        CloudTimeoutError: When the time is over first.
    """
    return client().wait_for_status(jid, test_status, timeout)


def port(
    jid: int, port: int, protocol: str = "tcp", timeout: float | None = None
) -> dict[str, Any]:
    """Wait until a job listens on a port.

    Args:
        jid: The job.
        port: The port that it opens.
        protocol: "tcp" or "udp".
        timeout: Longest time to wait, in seconds; None is for ever.

    Returns:
        Where to reach it: `address` and `port`.

    Raises:
        CloudException: When the job ends without having opened it.
        CloudTimeoutError: When the time is over first.
    """
    _check(port, protocol)
    until = math.inf if timeout is None else time.monotonic() + timeout
    client().wait_for_status(jid, ["processing", *_ENDED], timeout)
    while True:
        told = client().info(jid, ["status", "ports"])[jid]
        found = (told["ports"] or {}).get(protocol, {}).get(port)
        if found is not None:
            return dict(found)
        if told["status"] in _ENDED:
            raise CloudException(f"ended without listening on {protocol} port {port}.", jid)
        left = until - time.monotonic()
        if left <= 0:
            raise CloudTimeoutError(f"listens on no {protocol} port {port} yet", jid)
        time.sleep(min(_LOOK_S, left))


def _check(port: object, protocol: object) -> None:
    if protocol not in _PROTOCOLS:
        raise CloudException(f"protocol must be tcp or udp, not {protocol!r:.80}.")
    number = whole(port)
    if number is None or not 1 <= number <= _LARGEST_PORT:
        raise CloudException(
            f"port must be a whole number from 1 to {_LARGEST_PORT}, not {port!r:.80}."
        )
