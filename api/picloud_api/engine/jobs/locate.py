"""Locating jobs: from jids to the pages that hold them."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import ranges
from picloud_model.errors import JobDeleted, JobNotFound, TooLarge
from picloud_model.job import MAX_JOBS
from picloud_model.page import PAGE_JOBS, Flag

from picloud_api.store import layout
from picloud_api.store.layout import PageId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.records import BatchId, Span
    from picloud_api.store.view import View

MAX_RANGES: Final = 100_000
_RANGES_IN_A_ROW: Final = 50
"""Ranges that are located before the event loop may go on."""
PAGES_AT_ONCE: Final = 1000
"""Pages that are read together: 36 MB at most."""
_IN_A_ROW: Final = 20
"""Pages that are read together in a look at all jobs: decoding them takes a slice."""
_KEPT: Final = bytes(flags for flags in range(256) if not flags & Flag.DELETED)
"""The flags of jobs that were not deleted."""
CHANGED_AT_ONCE: Final = 16
"""Pages that are changed together: about as many small ones as fit a transaction."""


class PageSlice(msgspec.Struct, frozen=True):
    """The jobs `start .. stop-1` of one page whose first jid is `first`."""

    page_id: PageId
    start: int
    stop: int
    first: int


async def locate(
    view: View, account: str, jids: Sequence[Range], turn: Turn | None = None
) -> list[PageSlice]:
    """Return the page slices that hold the jobs of some jid ranges, in this order.

    Args:
        view: Where the index is read.
        account: The account that owns the jobs.
        jids: The ranges.
        turn: The turn that a request of a client runs in.

    Raises:
        JobNotFound: When the account has no such job; the first unknown jid is named. A job
            of another account is treated like one that does not exist.
        TooLarge: When the ranges, or the jobs in them, are too many for a request.
    """
    if len(jids) > MAX_RANGES:
        raise TooLarge(f"A request may name {MAX_RANGES} jid ranges at most.", field="jids")
    upper = await view.get(layout.next_jid(account)) or 1
    for first, last in jids:
        ranges.check(first, last)
        if last >= upper:
            # Another process may just have made it: the counter in memory may be old.
            upper = await view.fresh(layout.next_jid(account)) or 1
        if last >= upper:
            raise no_such_job(max(first, upper))
    if ranges.count(jids) > MAX_JOBS:
        raise TooLarge(f"A request may name {MAX_JOBS} jobs at most.", field="jids")
    slices: list[PageSlice] = []
    index = _Index(view, account)
    for number, (first, last) in enumerate(jids, 1):
        if turn is not None and number % _RANGES_IN_A_ROW == 0:
            await turn.pause()
        jid = first
        while jid <= last:
            # The following batches are mostly in the same list: no search for each of them.
            spans, at = await index.find(jid)
            while jid <= last and at < len(spans) and spans[at].first <= jid <= spans[at].last:
                stop = min(spans[at].last, last)
                slices.extend(_split(account, spans[at], jid, stop))
                jid, at = stop + 1, at + 1
    return slices


async def read_pages(
    view: View,
    wanted: Sequence[PageSlice],
    *,
    fresh: bool = True,
    at_once: int = PAGES_AT_ONCE,
    turn: Turn | None = None,
) -> AsyncIterator[tuple[PageSlice, Page]]:
    """Yield each page slice with its page.

    Args:
        view: Where the pages are read.
        wanted: The page slices.
        fresh: Whether pages that another process may have changed are read again.
        at_once: How many pages are read together.
        turn: The turn of a request that may read very many pages.
    """
    read = view.refresh if fresh else view.load
    start = 0
    while start < len(wanted):
        stop, names = start, dict[str, None]()
        while stop < len(wanted) and len(names) < at_once:
            names[layout.page(wanted[stop].page_id)] = None
            stop += 1
        if turn is None or len(names) < at_once:
            await read(names)
        else:
            await turn.read(partial(read, names))
        for piece in wanted[start:stop]:
            page: Page = await view.get(layout.page(piece.page_id))
            yield piece, page
        start = stop


async def spans_before(view: View, account: str, top: int) -> AsyncIterator[Span]:
    """Yield the batches of an account with jids up to `top`, newest first."""
    jid = top
    blocks: dict[str, list[Span]] = {}
    while jid >= 1:
        span: Span | None = None
        for name in (layout.block(account, jid), layout.wide_block(account, jid)):
            if name not in blocks:
                blocks[name] = await view.fresh(name) or []
            for each in blocks[name]:
                if each.first <= jid and (span is None or each.first > span.first):
                    span = each
        if span is None:
            # No batch of this narrow block, or of its wide block, begins at or below this jid.
            jid = jid // layout.BLOCK * layout.BLOCK - 1
            continue
        yield span
        jid = span.first - 1


async def pages_of(
    view: View, batch: BatchId, count: int, turn: Turn, *, at_leisure: bool = False
) -> AsyncIterator[tuple[PageId, Page]]:
    """Yield the pages of a batch that are stored.

    Args:
        view: Where they are read, several in one request if they are not cached.
        batch: The batch.
        count: How many pages it has.
        turn: The turn of the work that reads them, which lets other work go on.
        at_leisure: Whether to pause after each request for as long as it took.
    """
    loop = asyncio.get_running_loop()
    for start in range(0, count, _IN_A_ROW):
        begun_at = loop.time()
        numbers = range(start, min(count, start + _IN_A_ROW))
        await view.load(layout.page(PageId(*batch, number)) for number in numbers)
        await turn.pause()
        if at_leisure:
            await asyncio.sleep(loop.time() - begun_at)
        for number in numbers:
            page_id = PageId(*batch, number)
            page: Page | None = await view.get(layout.page(page_id))
            if page is not None:
                yield page_id, page
                await turn.pause()


def group_by_page(
    wanted: Sequence[PageSlice], at_once: int = CHANGED_AT_ONCE
) -> Iterator[list[tuple[PageId, Sequence[int]]]]:
    """Yield the same jobs as indexes by page, some pages at a time.

    Args:
        wanted: Page slices in the order of their jids, without repeats.
        at_once: How many pages.
    """
    group: list[tuple[PageId, Sequence[int]]] = []
    for page_id, pieces in groupby(wanted, attrgetter("page_id")):
        indexes = [range(piece.start, piece.stop) for piece in pieces]
        # A range where that is all: a list of a thousand takes longer than the change of a page.
        group.append((page_id, indexes[0] if len(indexes) == 1 else [*chain(*indexes)]))
        if len(group) == at_once:
            yield group
            group = []
    if group:
        yield group


def refuse_deleted(page: Page, piece: PageSlice) -> None:
    """Refuse a request that names a deleted job.

    Raises:
        JobDeleted: When one of the jobs was deleted; the first is named.
    """
    marked = page.flags[piece.start : piece.stop].tobytes()
    if not marked.translate(None, _KEPT):
        return
    index = next(index for index, flags in enumerate(marked, piece.start) if flags & Flag.DELETED)
    raise JobDeleted(f"Job {piece.first + index} was deleted.", field="jids")


class _Index:
    """The jid index within one request: each block is read at most once, even if it is missing."""

    def __init__(self, view: View, account: str) -> None:
        self._view = view
        self._account = account
        self._blocks: dict[str, list[Span]] = {}

    async def find(self, jid: int) -> tuple[list[Span], int]:
        """Return the spans of the block that lists a jid, and the position of the jid's span.

        Raises:
            JobNotFound: When no block lists it.
        """
        names = layout.block(self._account, jid), layout.wide_block(self._account, jid)
        if self._view.peek(names[1]) is not None:
            # The wide block is cached: look there first, and skip up to 100 misses per map.
            names = names[::-1]
        for name in names:
            if name not in self._blocks:
                self._blocks[name] = await self._view.get(name) or []
            if match := _among(self._blocks[name], jid):
                return match
        for name in names:
            # Another process may just have made it.
            self._blocks[name] = await self._view.fresh(name) or []
            if match := _among(self._blocks[name], jid):
                return match
        raise no_such_job(jid)


def _among(spans: list[Span], jid: int) -> tuple[list[Span], int] | None:
    at = bisect_right(spans, jid, key=lambda span: span.first) - 1
    return (spans, at) if at >= 0 and spans[at].last >= jid else None


def _split(account: str, span: Span, first: int, last: int) -> list[PageSlice]:
    slices = []
    start, stop = first - span.first, last - span.first + 1
    while start < stop:
        number = start // PAGE_JOBS
        base = number * PAGE_JOBS
        end = min(stop, base + PAGE_JOBS)
        page_id = PageId(account, span.batch, number)
        slices.append(PageSlice(page_id, start - base, end - base, span.first + base))
        start = end
    return slices


def no_such_job(jid: int) -> JobNotFound:
    """Return the error about a job that an account does not have."""
    return JobNotFound(f"There is no job {jid} in your account.", field="jids")
