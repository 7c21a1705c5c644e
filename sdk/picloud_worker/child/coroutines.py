"""Runs what asynchronous functions return: a coroutine to its result, a generator to a list."""

from __future__ import annotations

import asyncio
from types import AsyncGeneratorType, TracebackType
from typing import TYPE_CHECKING, Any

from picloud_worker.failure import KillSignalError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from types import FrameType


def run(value: Any) -> Any:
    """Return the result of a coroutine, or the items of an asynchronous generator."""
    coroutine = _items(value) if isinstance(value, AsyncGeneratorType) else value
    with asyncio.Runner() as runner:
        try:
            return runner.run(coroutine)
        except KillSignalError as killed:
            # It was raised in the event loop: show instead where the coroutine waits.
            raise killed.with_traceback(_where(value) or killed.__traceback__) from None


async def _items(generator: AsyncGenerator[Any, None]) -> list[Any]:
    return [item async for item in generator]


def _where(value: Any) -> TracebackType | None:
    trace: TracebackType | None = None
    for frame in reversed([*_frames(value)]):
        trace = TracebackType(trace, frame, frame.f_lasti, frame.f_lineno)
    return trace


def _frames(value: Any) -> Iterator[FrameType]:
    """Return the frames of a coroutine that waits, from the outermost to the innermost."""
    while value is not None:
        for kind in ("cr", "ag", "gi"):
            frame = getattr(value, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                value = getattr(value, f"{kind}_await", getattr(value, "gi_yieldfrom", None))
                break
        else:
            return
