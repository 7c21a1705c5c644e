"""Exit codes of `picloud`."""

from __future__ import annotations

from typing import Final

from cloud import CloudException, CloudTimeoutError
from picloud_model.job import State

OK: Final = 0
"""It worked."""
OTHER: Final = 1
"""It did not work, for a reason that no other code names."""
USAGE: Final = 2
"""The command line makes no sense."""
JOB_FAILED: Final = 3
"""A job asked about ended without a result."""
TIMEOUT: Final = 4
"""Jobs were unfinished when the time given was over."""
INTERRUPTED: Final = 130
"""Ctrl-C ended it."""

_FAILED: Final = frozenset(
    state.shown.value for state in (State.ERROR, State.KILLED, State.STALLED)
)


def code_of(error: Exception) -> int:
    """The exit code for an error.

    >>> code_of(CloudException("it broke", jid=8, status="error"))
    3
    """
    if isinstance(error, CloudTimeoutError):
        return TIMEOUT
    status = error.status if isinstance(error, CloudException) else None
    return JOB_FAILED if status in _FAILED else OTHER
