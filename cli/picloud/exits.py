"""Exit codes of `picloud`."""

from __future__ import annotations

from typing import Final

from cloud import CloudException, CloudTimeoutError, CloudTypeError, CloudValueError
from picloud_model.job import State

OK: Final = 0
"""Success."""
OTHER: Final = 1
"""An error for which there is no other code."""
USAGE: Final = 2
"""A usage error: the command, or a value in it, is refused, by the command or by the server."""
JOB_FAILED: Final = 3
"""A job failed, was killed, or stalled."""
TIMEOUT: Final = 4
"""Jobs were unfinished when the timeout was reached."""
INTERRUPTED: Final = 130
"""Interrupted by Ctrl-C."""

_FAILED: Final = frozenset(
    state.shown.value for state in (State.ERROR, State.KILLED, State.STALLED)
)


def code_of(error: Exception) -> int:
    """Return the exit code for an error.

    >>> code_of(CloudException("it broke", jid=8, status="error"))
    3
    >>> code_of(CloudValueError("a core type that does not exist"))
    2
    """
    if isinstance(error, CloudTimeoutError):
        return TIMEOUT
    if isinstance(error, CloudTypeError | CloudValueError):
        return USAGE
    status = error.status if isinstance(error, CloudException) else None
    return JOB_FAILED if status in _FAILED else OTHER
