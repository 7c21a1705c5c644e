"""Leasing: which jobs a slot gets next."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace
from picloud_model.errors import ServerFault
from picloud_model.job import LEASABLE, State
from picloud_model.pack import Pack
from picloud_model.page import PAGE_JOBS, Flag, Page
from picloud_model.wire import Lease, LeasedJob

from picloud_api.engine.jobs.fence import has_free, was_lost
from picloud_api.engine.scheduling.needed_results import needed_results
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from picloud_model.wire import Outcomes, PackPart

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.ready_queue import ReadyBatch
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.engine.scheduling.nested_candidates import Candidate
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header

_log = structlog.get_logger()
_first: Final = attrgetter("first")

LEASE_S: Final = 0.1
"""Expected work in a lease, in seconds."""
SPLIT_S: Final = 0.001
"""Expected work that is not split between slots, in seconds: one more lease costs as much."""
LEASE_BYTES: Final = 1024 * 1024
"""Maximum number of bytes of arguments in a lease, unless one job has more."""
LEASE_BATCHES: Final = 100
"""Most batches in one answer, if a transaction has room for them."""
BATCH_OPERATIONS: Final = 6
"""Most operations of a batch where it is reported and another one is leased in one transaction:
page, result pack, ready and finished markers; the page leased; a page given back."""


class LeasePlanner:
    """Plans leases over a draft; the caller commits them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._view = context.commits.view
        self._queue = context.ready_queue
        self.batches = most_batches(context)

    async def plan(self, draft: Draft, session: SlotSession) -> list[Lease]:
        """Lease jobs to a slot: one page of the first batch, or many small batches.

        Returns:
            The leases; empty when there is nothing for this pool.
        """
        slots = self._context.slot_sessions.count(session.pool)
        answer = _Leases(self, draft, session, slots)
        for queued in self._queue.batches(session.pool):
            if not await answer.add(queued):
                break
        return answer.leases

    async def plan_nested(
        self, draft: Draft, session: SlotSession, candidates: AsyncIterator[Candidate]
    ) -> list[Lease]:
        """Lease jobs to a slot whose other jobs wait for them.

        They are shared with the slots that have nothing to do: others have such jobs of their own.
        If one of them blocks, too, the slot hands back those behind it.
        """
        slots = 1 + self._context.slot_sessions.idle(session.pool)
        answer = _Leases(self, draft, session, slots)
        async for candidate in candidates:
            if not await answer.add(candidate.queued, candidate.indexes):
                break
        return answer.leases

    async def plan_new(self, draft: Draft, queued: ReadyBatch, header: Header) -> int:
        """Lease jobs of a batch that this draft makes to a slot that waits for some.

        So a job that can begin at once costs no transaction of its own to be leased.

        Returns:
            How many jobs were leased.
        """
        if self._queue.jobs(queued.pool, 1):
            return 0
        for session in self._context.slot_sessions.parked(queued.pool):
            if draft.claim(session.number):
                break
        else:
            return 0
        slots = self._context.slot_sessions.count(queued.pool)
        answer = _Leases(self, draft, session, slots)
        lease = await answer.from_batch(_OpenBatch(draft, queued, header))
        if lease is None:
            return 0
        draft.on_commit(partial(session.hand, lease))
        return len(lease.jobs)

    async def plan_released(self, draft: Draft, queued: ReadyBatch) -> int:
        """Lease jobs of a batch that this draft queues as `plan_new` does."""
        header: Header | None = await draft.get(layout.header(queued.account, queued.batch))
        return 0 if header is None else await self.plan_new(draft, queued, header)

    async def plan_next(
        self, draft: Draft, session: SlotSession, queued: ReadyBatch
    ) -> list[Lease]:
        """Lease jobs of a batch that this draft queues to the slot that has ended what it awaited.

        Returns:
            A lease; none if other jobs have waited longer, or if it is for another kind of slot.
        """
        if queued.pool != session.pool or self._queue.jobs(queued.pool, 1):
            return []
        slots = self._context.slot_sessions.count(session.pool)
        answer = _Leases(self, draft, session, slots)
        await answer.add(queued)
        return answer.leases

    async def needed(self, batch: _OpenBatch) -> Outcomes | None:
        """Return the results that the jobs of a batch begin with, if they are small."""
        account = batch.queued.account
        return await needed_results(self._view, batch.draft, account, batch.header)

    def drop(self, queued: ReadyBatch) -> None:
        """Take a batch out of the queue."""
        self._queue.drop(queued.account, queued.batch)

    def drop_if_empty(self, queued: ReadyBatch, number: int) -> None:
        """Take a page without free jobs out of the queue, and its batch too if it was the last."""
        key = layout.page(layout.PageId(queued.account, queued.batch, number))
        page = self._view.peek(key)
        if page is not None and not has_free(page) and number in queued.pages:
            queued.pages.remove(number)
        if not queued.pages:
            self.drop(queued)

    def seconds(self, batch: _OpenBatch) -> float | None:
        """Return how long a job of a batch is expected to run; None if that is not known."""
        function = (batch.queued.account, batch.header.function.digest)
        return self._context.run_times.seconds(function)


class _Leases:
    """The leases of one answer to a slot, until they hold enough work.

    Args:
        planner: Knows the queue and the run times.
        draft: Where the leases are planned.
        session: The slot.
        slots: How many slots share the jobs of a batch.
    """

    def __init__(
        self, planner: LeasePlanner, draft: Draft, session: SlotSession, slots: int
    ) -> None:
        self._planner = planner
        self._draft = draft
        self._session = session
        self._slots = slots
        self._budget_s = LEASE_S
        self.leases: list[Lease] = []

    async def add(self, queued: ReadyBatch, among: set[int] | None = None) -> bool:
        """Lease jobs of a batch, only those at `among` if that is given; return whether to go on.

        The batches of one answer may be of different functions, but they share their modules:
        other modules need another child.
        """
        planner, leases = self._planner, self.leases
        try:
            batch = await _open(self._draft, queued)
            if batch is None:
                return True
            # Before anything is leased: what is leased and then left out would be lost.
            seconds = planner.seconds(batch)
            if leases and (seconds is None or batch.header.bundle != leases[0].bundle):
                return False
            lease = await self.from_batch(batch, among)
        except layout.UnreadableRecord as error:
            # Until the next full look at the state; other batches go on.
            self._draft.on_commit(partial(planner.drop, queued))
            _log.warning("lease.unreadable", reason=error.message)
            return True
        if lease is None:
            return True
        leases.append(lease)
        self._budget_s -= (LEASE_S if seconds is None else seconds) * len(lease.jobs)
        is_large = len(lease.jobs) > 1 or len(leases) == planner.batches
        return self._budget_s > 0 and not is_large

    async def from_batch(self, batch: _OpenBatch, among: set[int] | None = None) -> Lease | None:
        """Lease jobs of the first page with free ones; None if there are none."""
        for number in sorted(batch.queued.pages):
            page: Page | None = await batch.draft.get(batch.page_key(number))
            # The plan may be made again, so the queue learns only after the commit what is empty.
            batch.draft.on_commit(partial(self._planner.drop_if_empty, batch.queued, number))
            if page is not None and has_free(page):
                count = self._count(batch, page)
                base = number * PAGE_JOBS
                chosen = [base + at for at in _choose(page, count, among, base)]
                if chosen:
                    lease = await _from_page(batch, number, self._session.number, chosen)
                    if not batch.header.depends_on:
                        return lease
                    return replace(lease, results=await self._planner.needed(batch))
        return None

    def _count(self, batch: _OpenBatch, page: Page) -> int:
        """Return how many jobs to lease: those that fill the budget, but no more than a fair share.

        Of a function that was never measured it is one; very short jobs are not worth sharing.
        """
        seconds = self._planner.seconds(batch)
        if seconds is None or not batch.header.options.restartable:
            return 1
        here = sum(page.state.count(state) for state in LEASABLE)
        free = here + PAGE_JOBS * (len(batch.queued.pages) - 1)
        share = -(-free // max(1, self._slots))
        fair = max(share, min(here, int(SPLIT_S / seconds)))
        return max(1, min(int(self._budget_s / seconds), fair, PAGE_JOBS))


class _OpenBatch:
    """A queued batch with its header, as one draft leases from it.

    The queue itself keeps no headers: they hold functions, and a queue may have 10,000 batches.
    """

    def __init__(self, draft: Draft, queued: ReadyBatch, header: Header) -> None:
        self.draft = draft
        self.queued = queued
        self.header = header
        self._packs: dict[int, Pack] = {}

    def page_key(self, number: int) -> str:
        """Return the key of a page."""
        return layout.page(layout.PageId(self.queued.account, self.queued.batch, number))

    def part(self, index: int) -> PackPart:
        """Return the part that holds the arguments of a job."""
        parts = self.header.parts
        return parts[bisect_right(parts, index, key=_first) - 1] if len(parts) > 1 else parts[0]

    async def arguments(self, part: PackPart, index: int) -> bytes:
        """Return the parcel of one job, from a pack in the state store."""
        pack = self._packs.get(part.first)
        if pack is None:
            key = layout.arguments(self.queued.account, self.queued.batch, part.first)
            pack = self._packs[part.first] = Pack(await self.draft.get(key))
        return pack[index - part.first]


async def _open(draft: Draft, queued: ReadyBatch) -> _OpenBatch | None:
    header: Header | None = await draft.get(layout.header(queued.account, queued.batch))
    return _OpenBatch(draft, queued, header) if header is not None else None


async def _from_page(batch: _OpenBatch, number: int, slot: int, wanted: Sequence[int]) -> Lease:
    """Lease jobs of one page of a batch, as many of those wanted as fit."""
    page = await batch.draft.edit(batch.page_key(number))
    if page is None:
        raise ServerFault
    header, base = batch.header, number * PAGE_JOBS
    chosen, pack = await _within_limits(batch, wanted)
    return Lease(
        batch=batch.queued.batch,
        first=header.first,
        envelope=header.envelope,
        function=header.function,
        function_name=header.function_name,
        bundle=header.bundle,
        options=header.options,
        jobs=[_assign(page, slot, index, base, parcel) for index, parcel in chosen],
        pack=pack,
        announced=not header.options.restartable or was_lost(page, chosen[0][0] - base),
    )


def _assign(page: Page, slot: int, index: int, base: int, parcel: bytes) -> LeasedJob:
    """Note in the page that a slot holds a job."""
    at = index - base
    lost_before = page.state[at] == State.RETRYING
    page.state[at] = State.PROCESSING if lost_before else State.LEASED
    page.attempt[at] += 1
    page.slot[at] = slot
    page.flags[at] &= ~Flag.BEGUN
    return LeasedJob(index, page.attempt[at], parcel)


async def _within_limits(
    batch: _OpenBatch, indexes: Sequence[int]
) -> tuple[list[tuple[int, bytes]], PackPart | None]:
    """Return as many of the jobs as one lease holds, with their parcels or the blob of these."""
    chosen: list[tuple[int, bytes]] = []
    pack: PackPart | None = None
    size = 0
    for index in indexes:
        part = batch.part(index)
        spilled = part if part.content.digest else None
        parcel = b"" if spilled else await batch.arguments(part, index)
        size += len(parcel)
        # A lease holds parcels, or points into one blob: never both, never two blobs.
        if chosen and (size > LEASE_BYTES or spilled != pack):
            break
        pack = spilled
        chosen.append((index, parcel))
    return chosen, pack


def _choose(page: Page, count: int, among: set[int] | None, base: int) -> list[int]:
    """Return up to `count` free jobs, only of some if they are given; one that was lost is alone.

    So a job that ends its slots takes no other job along.
    """
    chosen: list[int] = []
    for index in _free(page):
        if among is not None and base + index not in among:
            continue
        if was_lost(page, index):
            return chosen or [index]
        chosen.append(index)
        if len(chosen) == count:
            break
    return chosen


def most_batches(context: Context) -> int:
    """Return how many batches one request of a slot may touch, so that it fits one transaction."""
    most = context.commits.view.state.max_operations // BATCH_OPERATIONS
    return min(LEASE_BATCHES, most)


def _free(page: Page) -> Iterator[int]:
    for state in LEASABLE:
        index = page.state.find(state)
        while index >= 0:
            yield index
            index = page.state.find(state, index + 1)
