"""`cloud.wait_for`: block until a job has a status or listens on a port."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from picloud_model.job import ENDED

from cloud._arguments.option_values import port_number
from cloud._client.current import client
from cloud._config.border import of_users
from cloud.errors import CloudException, CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["port", "status"]

_POLL_S: Final = 0.5
"""Time between two requests for a job's ports; opening a port causes no notification."""
_PROTOCOLS: Final = ("tcp", "udp")


@of_users
def status(jid: Any, test_status: str | Sequence[str], timeout: float | None = None) -> Any:
    """Wait until a job has a status.

    Args:
        jid: One jid, or an iterable of jids, ranges or both to wait for all.
        test_status: The status, or a list of statuses any of which is enough.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        The status of the job, or a list of statuses.

    Raises:
        CloudException: When a job has ended with another status, which never changes.
        CloudTimeoutError: When the timeout is reached.

    >>> cloud.wait_for.status(cloud.call(abs, -1), "done", timeout=60)
    'done'
    """
    return client().wait_for_status(jid, test_status, timeout)


@of_users
def port(
    jid: int, port: int, protocol: str = "tcp", timeout: float | None = None
) -> dict[str, Any]:
    """Wait until a job listens on a port.

        jid = cloud.shell.execute("python -m http.server 8000", _ports={8000: "public"})
        reached = cloud.wait_for.port(jid, 8000, timeout=60)
        urllib.request.urlopen(f"http://{reached['address']}:{reached['port']}/")

    Args:
        jid: The jid of the job.
        port: The port that the job opens, 1 to 65535.
        protocol: "tcp" or "udp".
        timeout: How many seconds to wait; None for no limit.

    Returns:
        The `address` and `port` at which it is reached without a key; both are None if the port is
        not public: then `cloud.connect` and `cloud.tunnel.forward` reach it.

    Raises:
        CloudException: When the job ends without having opened the port.
        CloudTimeoutError: When the timeout is reached.
    """
    _check(port, protocol)
    try:
        return _reached(jid, port, protocol, timeout)
    except KeyboardInterrupt:
        raise client().waiter.interrupted([jid], [(jid, jid)]) from None


def _reached(jid: int, port: int, protocol: str, timeout: float | None) -> dict[str, Any]:
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    client().wait_for_status(jid, ["processing", *ENDED], timeout)
    while True:
        info = client().info(jid, ["status", "ports"])[jid]
        address = (info["ports"] or {}).get(protocol, {}).get(port)
        if address is not None:
            return dict(address)
        if info["status"] in ENDED:
            raise CloudException(f"ended without listening on {protocol} port {port}.", jid)
        remaining_s = deadline - time.monotonic()
        if remaining_s <= 0:
            raise CloudTimeoutError(f"listens on no {protocol} port {port} yet", jid)
        time.sleep(min(_POLL_S, remaining_s))


def _check(port: object, protocol: object) -> None:
    if protocol not in _PROTOCOLS:
        raise CloudValueError(f"protocol must be tcp or udp, not {protocol!r:.80}.")
    port_number(port)


def __dir__() -> list[str]:
    """List what users call."""
    return __all__
