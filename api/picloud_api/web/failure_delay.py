"""Failure delay: each wrong key makes the next attempt from the same address wait longer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from picloud_model.errors import AccountBusy, KeyRefused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

FIRST_S: Final = 0.1
"""The delay after the first failure; each further one doubles it."""
LONGEST_S: Final = 5.0
MOST_WAITING: Final = 5
"""The most attempts from one address that wait at the same time."""
MOST_ADDRESSES: Final = 1000
"""The most addresses that are remembered."""


class _Failures:
    """The failures of one address since its last success."""

    def __init__(self) -> None:
        self.count = 0
        self.waiting = 0
        self.turn = asyncio.Lock()

    @property
    def delay_s(self) -> float:
        return min(LONGEST_S, FIRST_S * 2 ** (self.count - 1)) if self.count else 0.0


class FailureDelay:
    """Delays attempts to sign in from an address where others have failed."""

    def __init__(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._sleep = sleep
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()

    def next_s(self, address: str) -> float:
        """Return how long the next attempt from an address waits."""
        failures = self._addresses.get(address)
        return failures.delay_s if failures is not None else 0.0

    @asynccontextmanager
    async def attempt(self, address: str) -> AsyncIterator[None]:
        """Wait for the turn of an attempt, and note how it ends.

        Raises:
            AccountBusy: When too many attempts from this address wait.
        """
        failures = self._addresses.setdefault(address, _Failures())
        self._addresses.move_to_end(address)
        if len(self._addresses) > MOST_ADDRESSES:
            self._addresses.popitem(last=False)
        if failures.waiting >= MOST_WAITING:
            raise AccountBusy("Too many attempts to sign in: try again in some seconds.")
        failures.waiting += 1
        try:
            async with failures.turn:
                await self._sleep(failures.delay_s)
                try:
                    yield
                except KeyRefused:
                    failures.count += 1
                    raise
                failures.count = 0
        finally:
            failures.waiting -= 1
