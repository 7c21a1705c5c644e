"""Waiting for what happens in another process or task, with a deadline."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Value = TypeVar("Value")

DEADLINE_S: Final = 60.0
POLL_S: Final = 0.01


def until(condition: Callable[[], Value], what: str, timeout_s: float = DEADLINE_S) -> Value:
    """Return the value of a condition as soon as it is true.

    Raises:
        TimeoutError: When it does not become true in time; the message names what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        _check(deadline, what, timeout_s)
        time.sleep(POLL_S)
    return value


async def eventually(
    condition: Callable[[], Value | Awaitable[Value]], what: str, timeout_s: float = DEADLINE_S
) -> Value:
    """Return the value of a condition, awaited where it is awaitable, as soon as it is true.

    Raises:
        TimeoutError: When it does not become true in time; the message names what was waited for.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := await _awaited(condition())):
        _check(deadline, what, timeout_s)
        await asyncio.sleep(POLL_S)
    return value


async def _awaited(value: Value | Awaitable[Value]) -> Value:
    return await value if inspect.isawaitable(value) else value


def _check(deadline: float, what: str, timeout_s: float) -> None:
    if time.monotonic() > deadline:
        message = f"not within {timeout_s:g} s: {what}"
        raise TimeoutError(message)
