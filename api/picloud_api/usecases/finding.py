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
from picloud_api.store.layout import Place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.store.records import Span
    from picloud_api.store.view import View

MAX_RANGES: Final = 100_000


class Piece(msgspec.Struct, frozen=True):
    """Jobs `start .. stop-1` of one page that somebody asked for.

    `first` is the page's first jid.
    """

    place: Place
    start: int
    stop: int
    first: int


async def pieces(view: View, account: str, asked: Sequence[Range]) -> list[Piece]:
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
    found: list[Piece] = []
    for first, last in asked:
        jid = first
        while jid <= last:
            # Neighbours lie in one list mostly: it is not looked for again for each of them.
            spans, at = await _spans(view, account, jid)
            while jid <= last and at < len(spans) and spans[at].first <= jid <= spans[at].last:
                stop = min(spans[at].last, last)
                found.extend(_split(account, spans[at], jid, stop))
                jid, at = stop + 1, at + 1
    return found


def refuse_deleted(page: Page, piece: Piece) -> None:
    """Whoever names a job that was deleted is told so.

    Raises:
        JobDeleted: When one of the jobs was; the first is named.
    """
    if not any(page.flags):
        return
    for index in range(piece.start, piece.stop):
        if page.flags[index] & Flag.DELETED:
            raise JobDeleted(f"Job {piece.first + index} was deleted.", field="jids")


async def _spans(view: View, account: str, jid: int) -> tuple[list[Span], int]:
    """The spans of the index block that knows a jid, and which of them has it."""
    for read in (view.get, view.fresh):
        for block in (layout.block(account, jid), layout.wide_block(account, jid)):
            spans: list[Span] = await read(block) or []
            at = bisect_right(spans, jid, key=lambda span: span.first) - 1
            if at >= 0 and spans[at].last >= jid:
                return spans, at
    raise JobNotFound(_unknown(jid), field="jids")


def _split(account: str, span: Span, first: int, last: int) -> list[Piece]:
    found = []
    start, stop = first - span.first, last - span.first + 1
    while start < stop:
        number = start // PAGE_JOBS
        base = number * PAGE_JOBS
        end = min(stop, base + PAGE_JOBS)
        place = Place(account, span.batch, number)
        found.append(Piece(place, start - base, end - base, span.first + base))
        start = end
    return found


def _unknown(jid: int) -> str:
    return f"There is no job {jid} in your account."
