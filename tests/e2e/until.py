"""Waiting for what happens in another process, with an end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")

DEADLINE_S: Final = 60.0
POLL_S: Final = 0.01


def until(happened: Callable[[], Found], what: str, timeout_s: float = DEADLINE_S) -> Found:
    """Return what a condition answers as soon as that is true.

    Raises:
        TimeoutError: When it does not hold in time; says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not (found := happened()):
        if time.monotonic() > deadline:
            message = f"not within {timeout_s:g} s: {what}"
            raise TimeoutError(message)
        time.sleep(POLL_S)
    return found
