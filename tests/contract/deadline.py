"""Waiting for what happens in another process, with an end."""

import asyncio
import time
from collections.abc import Awaitable, Callable

DEADLINE_S = 30.0
POLL_S = 0.002


async def until(happened: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> None:
    """Return as soon as a condition holds.

    Raises:
        TimeoutError: When it does not hold in time; says what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not happened():
        if time.monotonic() > deadline:
            message = f"not within {timeout_s:g} s: {what}"
            raise TimeoutError(message)
        await asyncio.sleep(POLL_S)


async def eventually(
    holds: Callable[[], Awaitable[bool]], what: str, timeout_s: float = DEADLINE_S
) -> None:
    """As `until`, for a condition that has to be asked for.

    Raises:
        TimeoutError: When it does not hold in time; it is asked for once at least.
    """
    deadline = time.monotonic() + timeout_s
    while not await holds():
        if time.monotonic() > deadline:
            message = f"not within {timeout_s:g} s: {what}"
            raise TimeoutError(message)
        await asyncio.sleep(POLL_S)
