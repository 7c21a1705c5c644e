"""The queue: which batches have jobs to lease, in which order; derived, in memory, a process.

The pages are the truth. The queue only saves looking at batches and pages that have nothing.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from picloud_model.page import PAGE_JOBS

if TYPE_CHECKING:
    from collections.abc import Generator

    from picloud_driver.scheduler import Pool

    from picloud_api.store.records import Ready

_first: Final = attrgetter("first")


class ReadyBatch:
    """A batch in the queue; `pages` are those that may have jobs to lease, lowest first."""

    __slots__ = ("account", "batch", "count", "first", "pages", "parent", "pool", "priority")

    def __init__(self, account: str, batch: str, ready: Ready) -> None:
        self.account = account
        self.batch = batch
        self.pool = ready.pool
        self.priority = ready.priority
        self.first = ready.first
        self.count = ready.count
        self.parent = ready.parent
        self.pages = list(range(ready.pages))

    def __lt__(self, other: ReadyBatch) -> bool:
        return (self.priority, self.first) < (other.priority, other.first)

    @property
    def jobs(self) -> int:
        """About how many jobs can be leased, at most."""
        return min(self.count, len(self.pages) * PAGE_JOBS)

    def add(self, page: int) -> None:
        """A page has jobs to lease again."""
        if page not in self.pages:
            heapq.heappush(self.pages, page)


class ReadyQueue:
    """Batches by pool, lower priority numbers first, older ones first among equals.

    Clients choose the ids of batches: that of one account may be another's, too.
    """

    def __init__(self) -> None:
        self._pools: dict[Pool, list[ReadyBatch]] = {}
        self._known: dict[tuple[str, str], ReadyBatch] = {}
        self._made: dict[Pool, list[ReadyBatch]] = {}

    def knows(self, account: str, batch: str) -> bool:
        """Whether a batch is queued."""
        return (account, batch) in self._known

    def offer(self, account: str, batch: str, ready: Ready) -> ReadyBatch:
        """Queue a batch; one that is queued already stays where it is."""
        known = self._known.get((account, batch))
        if known is None:
            known = self._known[account, batch] = ReadyBatch(account, batch, ready)
            heapq.heappush(self._pools.setdefault(ready.pool, []), known)
            if ready.parent:
                insort(self._made.setdefault(ready.pool, []), known, key=_first)
        return known

    def give_back(self, account: str, batch: str, page: int, ready: Ready) -> None:
        """Jobs of a page are free to be leased again."""
        known = self._known.get((account, batch))
        if known is None:
            known = self.offer(account, batch, ready)
            known.pages = []
        known.add(page)

    def drop(self, account: str, batch: str) -> None:
        """A batch has nothing to lease: forget it until it is offered again."""
        # It stays in its heap until it comes up: searching a heap of 10,000 costs more.
        known = self._known.pop((account, batch), None)
        if known is not None and known.parent:
            made = self._made[known.pool]
            del made[bisect_left(made, known.first, key=_first)]

    def get(self, account: str, batch: str) -> ReadyBatch | None:
        """A batch that is queued, or None."""
        return self._known.get((account, batch))

    def made_by_jobs(self, pool: Pool) -> list[ReadyBatch]:
        """The batches of a pool that jobs have made, the newest first."""
        return self._made.get(pool, [])[::-1]

    def batches(self, pool: Pool) -> Generator[ReadyBatch, None, None]:
        """The batches of a pool in the order they are to be leased; some may be dropped between."""
        waiting = self._pools.get(pool, [])
        taken: list[ReadyBatch] = []
        try:
            while waiting:
                queued = heapq.heappop(waiting)
                if self.get(queued.account, queued.batch) is queued:
                    taken.append(queued)
                    yield queued
        finally:
            for queued in taken:
                if self.get(queued.account, queued.batch) is queued:
                    heapq.heappush(waiting, queued)

    def jobs(self, pool: Pool, enough: int) -> int:
        """About how many jobs of a pool can be leased; stops counting at `enough`."""
        found = 0
        for queued in self._pools.get(pool, ()):
            if self.get(queued.account, queued.batch) is queued:
                found += queued.jobs
            if found >= enough:
                break
        return min(found, enough)

    def pools(self) -> list[Pool]:
        """The pools that have batches queued."""
        return [pool for pool in self._pools if self.jobs(pool, 1)]
