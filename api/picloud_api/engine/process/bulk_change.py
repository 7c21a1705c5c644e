"""Bulk changes: work on many pages makes way while others commit, too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_api.engine.process.turns import Turns
    from picloud_api.store.commits import Commits

Item = TypeVar("Item")


class BulkChange:
    """Decides how many pages the next transaction of some work changes, and when it is sent.

    While no other change waits, each transaction has a page more than the one before. Once one
    waits, the next has the least pages, and comes after a pause.

    Four pages in a transaction take half the time of four transactions over Consul, but calls of
    other accounts, each of which waits for several, three times as long. The embedded store blocks
    while it commits, so that more pages save nothing: there all transactions are like the first.

    Args:
        commits: Knows whether other changes wait.
        turns: Has the clock.
        least: How many pages each transaction changes while others wait.
        most: How many a transaction changes at most.
        first: How many the first transaction changes; the least by default.
        pause: How long the pause is, in times of how long the transaction before took.
        sleep: Waits.
    """

    def __init__(
        self,
        commits: Commits,
        turns: Turns,
        *,
        least: int,
        most: int,
        first: int = 0,
        pause: float = 1.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._commits = commits
        self._clock = turns.clock
        self._together = first or least
        shared = commits.view.state.shared
        self._least, self._most = (least, most) if shared else (self._together, self._together)
        self._pause = pause
        self._sleep = sleep
        self._pause_s = 0.0

    async def through(
        self, pages: Sequence[Item], change: Callable[[Sequence[Item]], Awaitable[None]]
    ) -> None:
        """Change pages one after the other, several in one transaction.

        Args:
            pages: The pages, or what is to be changed in each of them.
            change: Commits the change of some of them.
        """
        at = 0
        while at < len(pages):
            if self._pause_s:
                await self._sleep(self._pause_s)
            chosen = pages[at : at + self._together]
            at += len(chosen)
            begun_at = self._clock()
            await change(chosen)
            if self._commits.contended:
                self._together = self._least
                self._pause_s = self._pause * (self._clock() - begun_at)
            else:
                self._together, self._pause_s = min(self._together + 1, self._most), 0.0
