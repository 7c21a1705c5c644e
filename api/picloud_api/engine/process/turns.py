"""Turns: long work on the event loop runs a slice at a time, and accounts take turns.

Between two slices the event loop serves what else has come. So one account with large requests
delays a request of another by a slice or two, whatever the size and number of its requests.

An account that has used less than a slice lately does not wait at all. And while such an account
sends requests, the long work of the others pauses after each slice: without pauses it keeps a core
busy all the time, and the operating system lets the process wait behind all others for its next
share of a core, together with the short request that has just come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final, Self
from weakref import WeakValueDictionary

import msgspec
from picloud_model.wire import encode, join_lists

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

TOGETHER: Final = 250
"""Items of a long list that are encoded together."""
SLICE_S: Final = 0.00025
"""How long work may run before the event loop goes on: a few slices take as long as a request."""
PAUSE_S: Final = 0.001
"""How long work pauses after a slice while another account sends requests; uvloop counts in ms."""
PACED_SLICES: Final = 2
"""Slices between two pauses: most requests come in a pause, and few wait for the end of these."""
ACTIVE_S: Final = 0.1
"""How long after a request an account counts as one that sends requests."""
ROUND_S: Final = 0.005
"""After so long, what an account has used is forgotten, as it was short work."""


class Turns:
    """Hands out slices of the event loop.

    Args:
        slice_s: How much work of one account may run in one round of the event loop.
        clock: Measures it, in seconds.
    """

    def __init__(
        self, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.slice_s = slice_s
        self.clock = clock
        self.allowed_s = slice_s
        """How long work that has a turn may run before it pauses."""
        self._used_s: dict[str, float] = {}
        """How much each account has used in this round."""
        self._round_at = -inf
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._long_at: dict[str, float] = {}
        """When an account last had long work, for those that had any."""
        self._is_renewed_soon = False
        self._latest, self._latest_at = "", -inf
        """The account that sent the latest request, and when."""
        self._earlier_at: dict[str, float] = {}
        """When the others that are active sent theirs, the latest last; empty for a lone one."""
        self._reads: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """Held by an account while it makes one of many reads."""

    def of(self, account: str) -> Turn:
        """Return the turn of some work for an account, to be used in an `async with` block."""
        return Turn(self, account)

    def note_request(self, account: str) -> None:
        """Note that an account has sent a request: long work of others makes way for it."""
        now = self.clock()
        if account != self._latest:
            self._keep_latest(now)
            self._latest = account
        self._latest_at = now

    def _keep_latest(self, now: float) -> None:
        """Keep the latest request as an earlier one; drop the oldest, which no longer counts."""
        earlier_at = self._earlier_at
        earlier_at.pop(self._latest, None)
        earlier_at[self._latest] = self._latest_at
        while earlier_at:
            oldest = next(iter(earlier_at))
            if earlier_at[oldest] > now - ACTIVE_S:
                break
            del earlier_at[oldest]

    async def begin(self, account: str) -> None:
        """Wait for a slice, if the account has had its share of this round."""
        if account in self._waiting or self._used_s.get(account, 0.0) >= self.slice_s:
            await self.next_slice(account)

    async def next_slice(self, account: str) -> None:
        """Wait for the next slice of an account, even if it has used nothing yet."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account, deque()).append(future)
        self._long_at[account] = self.clock()
        self._renew_soon()
        await future

    def end(self, account: str, begun_at: float) -> None:
        """Count the time that a slice took."""
        now = self.clock()
        if now - self._round_at >= ROUND_S:
            self._used_s.clear()
            self._round_at = now
        used_s = self._used_s.get(account, 0.0) + now - begun_at
        self._used_s[account] = used_s
        # Not for each: a callback costs more than most slices, and rounds that are not counted only
        # make a pause come earlier.
        if used_s >= self.slice_s:
            self._long_at[account] = now
            self._renew_soon()

    def _renew_soon(self) -> None:
        if self._is_renewed_soon:
            return
        self._is_renewed_soon = True
        loop = asyncio.get_running_loop()
        if self._others_are_active():
            self.allowed_s = PACED_SLICES * self.slice_s
            loop.call_later(PAUSE_S, self._renew)
        else:
            self.allowed_s = self.slice_s
            loop.call_soon(self._renew)

    async def read(self, account: str, read: Callable[[], Awaitable[None]]) -> None:
        """Make one of many reads of the state store for a request of an account.

        While other accounts send requests, those of one account come one at a time, with pauses as
        long as the reads take: else they occupy all connections to the store, and its processors.
        """
        if not self._others_are_active(account):
            await read()
            return
        lock = self._reads.setdefault(account, asyncio.Lock())
        async with lock:
            begun_at = self.clock()
            await read()
            if self._others_are_active(account):
                await asyncio.sleep(self.clock() - begun_at)

    def _others_are_active(self, account: str = "") -> bool:
        """Whether an account that has no long work sends requests, another than the given one."""
        since = self.clock() - ACTIVE_S
        if self._latest != account and self._is_active(self._latest, self._latest_at, since):
            return True
        return any(
            other != account and self._is_active(other, at, since)
            for other, at in reversed(self._earlier_at.items())
        )

    def _is_active(self, account: str, at: float, since: float) -> bool:
        """Whether an account has sent a request since a time, and has had no long work."""
        return at > since and bool(account) and self._long_at.get(account, -inf) <= since

    def _renew(self) -> None:
        """Begin a round of the event loop: the next account has its turn."""
        self._is_renewed_soon = False
        self._used_s.clear()
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
        self._turns.end(self._account, self._begun_at)

    async def rest(self) -> None:
        """Let the event loop go on, however little of the slice is used up."""
        await self._turns.next_slice(self._account)

    async def pause(self) -> None:
        """Let the event loop go on, if the slice is used up."""
        turns = self._turns
        if turns.clock() - self._begun_at >= turns.allowed_s:
            turns.end(self._account, self._begun_at)
            await turns.begin(self._account)
            self._begun_at = self._turns.clock()

    async def read(self, read: Callable[[], Awaitable[None]]) -> None:
        """Make one of many reads of the state store; see `Turns.read`."""
        await self._turns.read(self._account, read)

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
