"""The ready queue: the batches that have jobs to lease, in the order in which slots get them.

Each process derives its own in memory. The pages decide; the queue only saves reading batches and
pages without free jobs.
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
    """A queued batch; `pages` is a heap of the pages that may have jobs to lease."""

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
        """The most jobs that may be free."""
        return min(self.count, len(self.pages) * PAGE_JOBS)

    def add(self, page: int) -> None:
        """Add a page that has jobs to lease again."""
        if page not in self.pages:
            heapq.heappush(self.pages, page)


class ReadyQueue:
    """Batches by pool: lower priority numbers first, older ones first among equals.

    Clients choose batch ids, so two accounts may use the same.
    """

    def __init__(self) -> None:
        self._pools: dict[Pool, list[ReadyBatch]] = {}
        self._by_id: dict[tuple[str, str], ReadyBatch] = {}
        self._made: dict[Pool, list[ReadyBatch]] = {}

    def knows(self, account: str, batch: str) -> bool:
        """Whether a batch is queued."""
        return (account, batch) in self._by_id

    def offer(self, account: str, batch: str, ready: Ready) -> ReadyBatch:
        """Queue a batch, unless it is queued already; return its entry."""
        queued = self._by_id.get((account, batch))
        if queued is None:
            queued = self._by_id[account, batch] = ReadyBatch(account, batch, ready)
            heapq.heappush(self._pools.setdefault(ready.pool, []), queued)
            if ready.parent:
                insort(self._made.setdefault(ready.pool, []), queued, key=_first)
        return queued

    def give_back(self, account: str, batch: str, page: int, ready: Ready) -> None:
        """Queue a page that has jobs to lease again."""
        queued = self._by_id.get((account, batch))
        if queued is None:
            queued = self.offer(account, batch, ready)
            queued.pages = []
        queued.add(page)

    def drop(self, account: str, batch: str) -> None:
        """Remove a batch that has no jobs to lease."""
        # It stays in its heap until it comes up: searching a heap of 10,000 costs more.
        queued = self._by_id.pop((account, batch), None)
        if queued is not None and queued.parent:
            made = self._made[queued.pool]
            del made[bisect_left(made, queued.first, key=_first)]

    def ids(self) -> set[tuple[str, str]]:
        """Return the account and the batch of all entries."""
        return set(self._by_id)

    def get(self, account: str, batch: str) -> ReadyBatch | None:
        """Return the entry of a batch, or None if it is not queued."""
        return self._by_id.get((account, batch))

    def made_by_jobs(self, pool: Pool) -> list[ReadyBatch]:
        """Return the batches of a pool that jobs have made, the newest first."""
        return self._made.get(pool, [])[::-1]

    def batches(self, pool: Pool) -> Generator[ReadyBatch, None, None]:
        """Yield the batches of a pool in the order of leasing; some may be dropped in between."""
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
        """Return about how many jobs of a pool can be leased, but `enough` at most."""
        count = 0
        for queued in self._pools.get(pool, ()):
            if self.get(queued.account, queued.batch) is queued:
                count += queued.jobs
            if count >= enough:
                break
        return min(count, enough)

    def has_jobs(self, account: str) -> bool:
        """Whether jobs of an account wait for slots."""
        return any(pool.account == account for pool in self.pools())

    def pools(self) -> list[Pool]:
        """Return the pools that have queued jobs."""
        return [pool for pool in self._pools if self.jobs(pool, 1)]
