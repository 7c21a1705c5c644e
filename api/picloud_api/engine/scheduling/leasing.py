"""Leasing: which jobs a slot gets next, and what becomes of them when it loses them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from picloud_model.errors import ServerFault
from picloud_model.job import LEASABLE, State
from picloud_model.pack import Pack
from picloud_model.page import PAGE_JOBS, Page
from picloud_model.wire import Lease, LeasedJob

from picloud_api.engine.jobs.fence import has_free
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from picloud_model.wire import PackPart

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.ready_queue import ReadyBatch
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.engine.scheduling.nested_candidates import Candidate
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header

LEASE_S: Final = 0.1
"""Expected work in a lease, in seconds."""
LEASE_BYTES: Final = 1024 * 1024
"""Most bytes of arguments in a lease, unless one job has more."""
LEASE_BATCHES: Final = 100
"""Most batches in one answer, where a transaction has room for them."""
BATCH_OPERATIONS: Final = 6
"""What a batch costs at most where it is reported and another leased in one transaction: page,
result pack, ready and finished markers; the page leased; a page given back."""


class LeasePlanner:
    """Plans leases over a draft; the caller commits them."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._run_times = context.run_times
        self._batches = most_batches(context)

    async def plan(self, draft: Draft, session: SlotSession) -> list[Lease]:
        """Lease jobs to a slot: one page of the first batch, or many small batches of one function.

        Returns:
            The leases; empty when there is nothing for this pool.
        """
        leases: list[Lease] = []
        budget = LEASE_S
        for queued in self._queue.batches(session.pool):
            header: Header | None = await draft.get(layout.header(queued.account, queued.batch))
            if header is None:
                continue
            # Before anything is leased: what is leased and then left out would be lost.
            if leases and header.function.digest != leases[0].function.digest:
                break
            lease = await self._from_batch(draft, (queued, header), session, budget)
            if lease is None:
                continue
            leases.append(lease)
            cost = self._run_times.seconds((session.pool.account, lease.function.digest))
            budget -= (LEASE_S if cost is None else cost) * len(lease.jobs)
            if budget <= 0 or len(lease.jobs) > 1 or len(leases) == self._batches:
                break
        return leases

    async def plan_new(self, draft: Draft, queued: ReadyBatch, header: Header) -> int:
        """Lease jobs of a batch that this draft makes to a slot that waits for some.

        So a job that can begin at once costs no transaction of its own to be leased.

        Returns:
            How many jobs were leased.
        """
        if self._queue.jobs(queued.pool, 1):
            return 0
        for session in self._sessions.parked(queued.pool):
            if draft.claim(session.number):
                break
        else:
            return 0
        lease = await self._from_batch(draft, (queued, header), session, LEASE_S)
        if lease is None:
            return 0
        draft.on_commit(partial(session.hand, lease))
        return len(lease.jobs)

    async def plan_one(
        self, draft: Draft, session: SlotSession, candidates: AsyncIterator[Candidate]
    ) -> list[Lease]:
        """Lease one job to a slot whose other jobs wait for it, of the first candidate with one."""
        async for candidate in candidates:
            queued, indexes = candidate.queued, candidate.indexes
            header: Header | None = await draft.get(layout.header(queued.account, queued.batch))
            if header is None:
                continue
            lease = await self._from_batch(draft, (queued, header), session, 0.0, indexes)
            if lease is not None:
                return [lease]
        return []

    async def _from_batch(
        self,
        draft: Draft,
        batch: tuple[ReadyBatch, Header],
        session: SlotSession,
        budget: float,
        among: set[int] | None = None,
    ) -> Lease | None:
        queued, header = batch
        for number in sorted(queued.pages):
            name = layout.page(layout.PageId(queued.account, queued.batch, number))
            page: Page | None = await draft.get(name)
            # The plan may be made again, so the queue learns only after the commit what is empty.
            draft.on_commit(partial(self._settle, queued, number))
            if page is not None and has_free(page):
                wanted = self._wanted(header, queued, page, budget)
                base = number * PAGE_JOBS
                chosen = [base + at for at in _choose(page, wanted, among, base)]
                if chosen:
                    return await self._from_page(draft, (queued, header, number), session, chosen)
        return None

    def _settle(self, queued: ReadyBatch, number: int) -> None:
        """Take a page without free jobs out of the queue, its batch too if it was the last."""
        page = self._view.peek(layout.page(layout.PageId(queued.account, queued.batch, number)))
        if page is not None and not has_free(page) and number in queued.pages:
            queued.pages.remove(number)
        if not queued.pages:
            self._queue.drop(queued.account, queued.batch)

    async def _from_page(
        self,
        draft: Draft,
        where: tuple[ReadyBatch, Header, int],
        session: SlotSession,
        wanted: Sequence[int],
    ) -> Lease:
        """Lease jobs of one page of a batch, as many of those wanted as fit."""
        queued, header, number = where
        page = await draft.edit(layout.page(layout.PageId(queued.account, queued.batch, number)))
        if page is None:
            raise ServerFault
        base = number * PAGE_JOBS
        arguments = _Arguments(draft, queued, header)
        chosen, pack = await _within_limits(arguments, wanted)
        return Lease(
            batch=queued.batch,
            first=header.first,
            envelope=header.envelope,
            function=header.function,
            function_name=header.function_name,
            bundle=header.bundle,
            options=header.options,
            jobs=[_assign(page, session.number, index, base, parcel) for index, parcel in chosen],
            pack=pack,
        )

    def _wanted(self, header: Header, queued: ReadyBatch, page: Page, budget: float) -> int:
        """How many jobs: an unmeasured function one, else what fills the budget, fairly shared."""
        seconds = self._run_times.seconds((queued.account, header.function.digest))
        if seconds is None or not header.options.restartable:
            return 1
        here = sum(page.state.count(state) for state in LEASABLE)
        left = here + PAGE_JOBS * (len(queued.pages) - 1)
        share = -(-left // max(1, self._sessions.count(queued.pool)))
        return max(1, min(int(budget / seconds), share, PAGE_JOBS))


def _assign(page: Page, slot: int, index: int, base: int, parcel: bytes) -> LeasedJob:
    """Note in the page that a slot has the job."""
    at = index - base
    lost_before = page.state[at] == State.RETRYING
    page.state[at] = State.PROCESSING if lost_before else State.LEASED
    page.attempt[at] += 1
    page.slot[at] = slot
    return LeasedJob(index, page.attempt[at], parcel)


async def _within_limits(
    arguments: _Arguments, indexes: Sequence[int]
) -> tuple[list[tuple[int, bytes]], PackPart | None]:
    """As many of the jobs as one lease holds, with their parcels or the one blob they lie in."""
    chosen: list[tuple[int, bytes]] = []
    pack: PackPart | None = None
    size = 0
    for index in indexes:
        part = arguments.part(index)
        spilled = part if part.content.digest else None
        parcel = b"" if spilled else await arguments.read(part, index)
        size += len(parcel)
        # A lease holds parcels, or points into one blob: never both, never two blobs.
        if chosen and (size > LEASE_BYTES or spilled != pack):
            break
        pack = spilled
        chosen.append((index, parcel))
    return chosen, pack


class _Arguments:
    """The argument packs of a batch, opened as they are needed."""

    def __init__(self, draft: Draft, queued: ReadyBatch, header: Header) -> None:
        self._draft = draft
        self._queued = queued
        self._parts = header.parts
        self._open: dict[int, Pack] = {}

    def part(self, index: int) -> PackPart:
        """The part that holds the arguments of a job of the batch."""
        if len(self._parts) == 1:
            return self._parts[0]
        low, high = 0, len(self._parts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if self._parts[middle].first <= index:
                low = middle
            else:
                high = middle - 1
        return self._parts[low]

    async def read(self, part: PackPart, index: int) -> bytes:
        """The parcel of one job, of a pack in the state store."""
        pack = self._open.get(part.first)
        if pack is None:
            name = layout.arguments(self._queued.account, self._queued.batch, part.first)
            pack = self._open[part.first] = Pack(await self._draft.get(name))
        return pack[index - part.first]


def _choose(page: Page, wanted: int, among: set[int] | None, base: int) -> list[int]:
    """Up to `wanted` free jobs, of some if they are named; one that lost a slot goes alone."""
    chosen: list[int] = []
    for index in _free(page):
        if among is not None and base + index not in among:
            continue
        if page.losses[index]:
            return chosen or [index]
        chosen.append(index)
        if len(chosen) == wanted:
            break
    return chosen


def most_batches(context: Context) -> int:
    """How many batches one request of a slot may touch, so that it fits one transaction."""
    most = context.commits.view.state.max_operations // BATCH_OPERATIONS
    return min(LEASE_BATCHES, most)


def _free(page: Page) -> Iterator[int]:
    for state in LEASABLE:
        index = page.state.find(state)
        while index >= 0:
            yield index
            index = page.state.find(state, index + 1)
