"""Turns: long work on the event loop runs a slice at a time, and accounts take turns.

Between two slices the event loop serves what else has come. So one account with large requests
delays a request of another by a slice or two, whatever the size and number of its requests.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from picloud_model.wire import encode, join_lists

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TOGETHER: Final = 250
"""Items of a long list that are encoded together."""
SLICE_S: Final = 0.00025
"""How long work may run before the event loop goes on: a few slices take as long as a request."""


class Turns:
    """Hands out slices of the event loop.

    Args:
        slice_s: How much work may run in one round of the event loop.
        clock: Measures it, in seconds.
    """

    def __init__(
        self, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.slice_s = slice_s
        self.clock = clock
        self._left_s = slice_s
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._is_renewed_soon = False

    def of(self, account: str) -> Turn:
        """Return the turn of some work for an account, to be used in an `async with` block."""
        return Turn(self, account)

    async def begin(self, account: str) -> None:
        """Wait for a slice, if this round of the event loop has had its share."""
        if self._left_s > 0 and not self._waiting:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(future)
        self._renew_soon()
        await future

    def end(self, used_s: float) -> None:
        """Count the time that a slice took."""
        self._left_s -= used_s
        # Not for each: a callback costs more than most slices, and rounds that are not counted only
        # make a pause come earlier.
        if self._left_s <= 0:
            self._renew_soon()

    def _renew_soon(self) -> None:
        if not self._is_renewed_soon:
            self._is_renewed_soon = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        """Begin a round of the event loop: the next account has its turn."""
        self._is_renewed_soon = False
        self._left_s = self.slice_s
        while self._waiting:
            account = next(iter(self._waiting))
            queue = self._waiting.pop(account)
            future = queue.popleft()
            if queue:
                self._waiting[account] = queue  # behind the other accounts
            if not future.done():
                future.set_result(None)
                break
        if self._waiting:
            self._renew_soon()


class Turn:
    """The turn of some work: what is within it runs in slices."""

    __slots__ = ("_account", "_begun_at", "_turns")

    def __init__(self, turns: Turns, account: str) -> None:
        self._turns = turns
        self._account = account
        self._begun_at = 0.0

    async def __aenter__(self) -> Self:
        await self._turns.begin(self._account)
        self._begun_at = self._turns.clock()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._turns.end(self._turns.clock() - self._begun_at)

    async def pause(self) -> None:
        """Let the event loop go on, if the slice is used up."""
        used_s = self._turns.clock() - self._begun_at
        if used_s >= self._turns.slice_s:
            self._turns.end(used_s)
            await self._turns.begin(self._account)
            self._begun_at = self._turns.clock()

    async def encode(self, value: msgspec.Struct, field: str, media: str) -> bytes:
        """Encode a value one of whose fields is a list, which may be long.

        Args:
            value: What to encode.
            field: The name of that field.
            media: The media type of the format.
        """
        items: list[Any] = getattr(value, field)
        if len(items) <= TOGETHER:
            return encode(value, media)
        parts: list[bytes] = []
        async with self:
            for start in range(0, len(items), TOGETHER):
                parts.append(encode(items[start : start + TOGETHER], media))
                await self.pause()
        whole = msgspec.Raw(join_lists(parts, media))
        return encode(msgspec.structs.replace(value, **{field: whole}), media)
