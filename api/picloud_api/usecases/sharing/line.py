"""A line: requests that wait for the same thing get it in the order in which they came."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Line:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0


class Lines:
    """The lines of one process, by the key of what is waited for."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def first(self, key: str, timeout_s: float) -> AsyncIterator[bool]:
        """Wait to be the first of a line, and remain it for the length of an `async with` block.

        The block gets whether it is the first; False when others were for `timeout_s` seconds.
        """
        line = self._lines.setdefault(key, _Line())
        line.length += 1
        try:
            is_first = await _entered(line.turn, timeout_s)
            try:
                yield is_first
            finally:
                if is_first:
                    line.turn.release()
        finally:
            line.length -= 1
            if not line.length:
                del self._lines[key]


async def _entered(turn: asyncio.Lock, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await turn.acquire()
    except TimeoutError:
        return False
