"""`cloud.wait_for`: block until a job has a status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    from cloud.functions import client  # noqa: PLC0415 - it imports this module

    return client().wait_for_status(jid, test_status, timeout)
