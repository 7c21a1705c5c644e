"""`cloud.shortcuts`: what is asked for often, in one call."""

from __future__ import annotations

from typing import Any

from cloud import wait_for


def get_connection_info(
    jid: int, port: int, protocol: str = "tcp", timeout: float | None = None
) -> dict[str, Any]:
    """Where to reach a port that a job listens on; waits until it does.

    The same as `cloud.wait_for.port`, under the name that the documentation gives it.

    Args:
        jid: The job.
        port: The port that it opens.
        protocol: "tcp" or "udp".
        timeout: Longest time to wait, in seconds; None is for ever.

    Returns:
        `address` and `port`.

    Raises:
        CloudException: When the job ends without having opened it.
        CloudTimeoutError: When the time is over first.
    """
    return wait_for.port(jid, port, protocol, timeout)
