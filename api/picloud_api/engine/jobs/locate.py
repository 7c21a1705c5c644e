"""Finding jobs: from jids to the batches and pages they lie in."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import ranges
from picloud_model.errors import JobDeleted, JobNotFound, TooLarge
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import MAX_JOBS

from picloud_api.store import layout
from picloud_api.store.layout import PageId

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.store.records import Span
    from picloud_api.store.view import View

MAX_RANGES: Final = 100_000
PAGES_AT_ONCE: Final = 1000
"""Pages read together: 36 MB of them at most."""
CHANGED_AT_ONCE: Final = 16
"""Pages changed together: a transaction takes about so many small ones."""


class PageSlice(msgspec.Struct, frozen=True):
    """Jobs `start .. stop-1` of one page that somebody asked for.

    `first` is the page's first jid.
    """

    page_id: PageId
    start: int
    stop: int
    first: int


async def locate(view: View, account: str, asked: Sequence[Range]) -> list[PageSlice]:
    """Where the jobs of some jid ranges lie, in the order asked.

    Raises:
        JobNotFound: When the account has no such job; the first unknown jid is named. Another
            account's job and a job that never was are the same here.
        TooLarge: When more jobs are named than a request may.
    """
    if len(asked) > MAX_RANGES:
        raise TooLarge(f"A request may name {MAX_RANGES} jid ranges at most.", field="jids")
    upper = await view.get(layout.next_jid(account)) or 1
    for first, last in asked:
        ranges.check(first, last)
        if last >= upper:
            # Another process may have made it a moment ago: what is known may be old.
            upper = await view.fresh(layout.next_jid(account)) or 1
        if last >= upper:
            raise JobNotFound(_unknown(max(first, upper)), field="jids")
    if ranges.count(asked) > MAX_JOBS:
        raise TooLarge(f"A request may name {MAX_JOBS} jobs at most.", field="jids")
    found: list[PageSlice] = []
    index = _Index(view, account)
    for first, last in asked:
        jid = first
        while jid <= last:
            # Neighbours lie in one list mostly: it is not looked for again for each of them.
            spans, at = await index.find(jid)
            while jid <= last and at < len(spans) and spans[at].first <= jid <= spans[at].last:
                stop = min(spans[at].last, last)
                found.extend(_split(account, spans[at], jid, stop))
                jid, at = stop + 1, at + 1
    return found


async def pages(
    view: View, wanted: Sequence[PageSlice], *, fresh: bool = True, at_once: int = PAGES_AT_ONCE
) -> AsyncIterator[tuple[PageSlice, Page]]:
    """Each piece with its page, some of which are read together.

    Args:
        view: Where they are read.
        wanted: The pieces.
        fresh: Whether what another process may have written since is read again.
        at_once: How many pieces' pages are read together.
    """
    read = view.refresh if fresh else view.load
    for start in range(0, len(wanted), at_once):
        some = wanted[start : start + at_once]
        await read(layout.page(piece.page_id) for piece in some)
        for piece in some:
            page: Page = await view.get(layout.page(piece.page_id))
            yield piece, page


def by_page(wanted: Sequence[PageSlice]) -> Iterator[list[tuple[PageId, list[int]]]]:
    """The same jobs, those of a page together and each once, some pages at a time."""
    found: dict[PageId, dict[int, None]] = {}
    for piece in wanted:
        found.setdefault(piece.page_id, {}).update(dict.fromkeys(range(piece.start, piece.stop)))
    whole = [(page_id, list(indexes)) for page_id, indexes in found.items()]
    for start in range(0, len(whole), CHANGED_AT_ONCE):
        yield whole[start : start + CHANGED_AT_ONCE]


def refuse_deleted(page: Page, piece: PageSlice) -> None:
    """Whoever names a job that was deleted is told so.

    Raises:
        JobDeleted: When one of the jobs was; the first is named.
    """
    marked = page.flags[piece.start : piece.stop]
    if not any(marked):
        return
    for index, flags in enumerate(marked, piece.start):
        if flags & Flag.DELETED:
            raise JobDeleted(f"Job {piece.first + index} was deleted.", field="jids")


class _Index:
    """The jid index as one request sees it: no block is read twice, be it that there is none."""

    def __init__(self, view: View, account: str) -> None:
        self._view = view
        self._account = account
        self._blocks: dict[str, list[Span]] = {}

    async def find(self, jid: int) -> tuple[list[Span], int]:
        """The spans of the block that knows a jid, and which of them has it.

        Raises:
            JobNotFound: When none has.
        """
        names = layout.block(self._account, jid), layout.wide_block(self._account, jid)
        if self._view.peek(names[1]) is not None:
            # A map is in there: that no narrow block has its jobs is not asked a hundred times.
            names = names[::-1]
        for name in names:
            if name not in self._blocks:
                self._blocks[name] = await self._view.get(name) or []
            if found := _among(self._blocks[name], jid):
                return found
        for name in names:
            # Another process may have made it a moment ago.
            self._blocks[name] = await self._view.fresh(name) or []
            if found := _among(self._blocks[name], jid):
                return found
        raise JobNotFound(_unknown(jid), field="jids")


def _among(spans: list[Span], jid: int) -> tuple[list[Span], int] | None:
    at = bisect_right(spans, jid, key=lambda span: span.first) - 1
    return (spans, at) if at >= 0 and spans[at].last >= jid else None


def _split(account: str, span: Span, first: int, last: int) -> list[PageSlice]:
    found = []
    start, stop = first - span.first, last - span.first + 1
    while start < stop:
        number = start // PAGE_JOBS
        base = number * PAGE_JOBS
        end = min(stop, base + PAGE_JOBS)
        page_id = PageId(account, span.batch, number)
        found.append(PageSlice(page_id, start - base, end - base, span.first + base))
        start = end
    return found


def _unknown(jid: int) -> str:
    return f"There is no job {jid} in your account."
