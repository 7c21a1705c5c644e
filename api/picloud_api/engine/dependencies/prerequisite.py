"""Prerequisites: the jobs that have to end before some batches begin, and the watch on them."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from picloud_model.job import FINAL, State
from picloud_model.page import PAGE_JOBS

from picloud_api.engine.dependencies.release import RELEASED, Verdict, stalled_by
from picloud_api.engine.jobs.locate import PageSlice, locate
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId
    from picloud_api.store.records import Header, Waiting
    from picloud_api.store.view import View

_FAILURES: Final = (State.ERROR, State.KILLED, State.STALLED)
_GOOD: Final = {False: bytes([State.DONE]), True: bytes(FINAL)}
"""The states in which a job is no longer waited for, by whether failures are ignored."""


class Prerequisite:
    """What some batches wait for: batches that wait for the same jobs share one prerequisite.

    `jids` are ascending ranges; all jobs below `at` have ended well. `watched` is the page and the
    index of job `at`: until that job has ended, no other needs to be read.
    """

    __slots__ = ("account", "at", "batches", "ignore", "jids", "verdict", "watched")

    def __init__(self, account: str, waiting: Waiting) -> None:
        self.account = account
        self.jids = waiting.depends_on
        self.ignore = waiting.ignore
        self.at = self.jids[0][0]
        self.batches: set[str] = set()
        self.watched: tuple[PageId, int] | None = None
        self.verdict: Verdict | None = None

    @property
    def fails_fast(self) -> bool:
        """Whether any failed job settles it early: it has several jobs, and failures count."""
        return not self.ignore and self.jids[0][0] < self.jids[-1][1]

    def ends_with(self, draft: Draft) -> bool:
        """Whether the job that is watched is the last one, and has ended well in a draft."""
        if self.watched is None or self.at != self.jids[-1][1]:
            return False
        page_id, index = self.watched
        page: Page | None = draft.peek(layout.page(page_id))
        return page is not None and page.state[index] == State.DONE

    def first_of(self, failed: Sequence[int]) -> int | None:
        """Return the first of some ascending jids that is among its jobs, or None."""
        for first, last in self.jids:
            at = bisect_left(failed, first)
            if at < len(failed) and failed[at] <= last:
                return failed[at]
        return None


class Watches:
    """Which prerequisites watch which job, so that a page is read once for all of them."""

    def __init__(self) -> None:
        self._by_batch: dict[str, dict[PageId, dict[int, set[Prerequisite]]]] = {}

    def __len__(self) -> int:
        return len(self._by_batch)

    def __contains__(self, batch: object) -> bool:
        return batch in self._by_batch

    def batches(self) -> set[str]:
        """Return the batches of the watched jobs."""
        return set(self._by_batch)

    def of(self, batch: str) -> list[Prerequisite]:
        """Return the prerequisites that watch a job of a batch."""
        pages = self._by_batch.get(batch, {})
        return [each for jobs in pages.values() for group in jobs.values() for each in group]

    def watch(self, prerequisite: Prerequisite, page_id: PageId, index: int) -> None:
        """Let a prerequisite watch a job instead of the one before."""
        self.drop(prerequisite)
        prerequisite.watched = (page_id, index)
        pages = self._by_batch.setdefault(page_id.batch, {})
        pages.setdefault(page_id, {}).setdefault(index, set()).add(prerequisite)

    def drop(self, prerequisite: Prerequisite) -> None:
        """Let a prerequisite watch no job."""
        if prerequisite.watched is None:
            return
        page_id, index = prerequisite.watched
        prerequisite.watched = None
        pages = self._by_batch.get(page_id.batch, {})
        if prerequisite not in pages.get(page_id, {}).get(index, ()):
            return
        pages[page_id][index].discard(prerequisite)
        if not pages[page_id][index]:
            del pages[page_id][index]
        if not pages[page_id]:
            del pages[page_id]
        if not pages:
            del self._by_batch[page_id.batch]

    async def ended(self, view: View, batch: str) -> set[Prerequisite]:
        """Return the prerequisites whose watched job of a batch has ended by now."""
        ended: set[Prerequisite] = set()
        for page_id in list(self._by_batch.get(batch, ())):
            page: Page = await view.fresh(layout.page(page_id))
            for index, prerequisites in self._by_batch.get(batch, {}).get(page_id, {}).items():
                if page.state[index] >= State.DONE:
                    ended |= prerequisites
        return ended


async def evaluate(
    view: View, watches: Watches, prerequisite: Prerequisite, turn: Turn
) -> Verdict | None:
    """Go on from the first job not known to have ended well; return None if one is unfinished."""
    for portion in _portions(prerequisite.jids, prerequisite.at):
        for piece in await locate(view, prerequisite.account, portion):
            # Before it is read, so that no end after that goes unnoticed.
            watches.watch(prerequisite, piece.page_id, piece.start)
            page: Page = await view.get(layout.page(piece.page_id))
            at = _first_other(page, piece, _GOOD[prerequisite.ignore])
            prerequisite.at = piece.first + at
            if at < piece.stop:
                watches.watch(prerequisite, piece.page_id, at)
                failed = State(page.state[at]).final
                return await stalled_by(view, piece, page, at) if failed else None
        await turn.pause()
    return RELEASED


def _portions(jids: Sequence[Range], at: int) -> Iterator[list[Range]]:
    """Yield the jids from `at` on, 1,000 jobs at a time: mostly the first portion decides.

    >>> list(_portions([(1, 1), (3, 3), (5, 2004)], 2))
    [[(3, 3), (5, 1003)], [(1004, 2003)], [(2004, 2004)]]
    """
    portion: list[Range] = []
    room = PAGE_JOBS
    for first, last in jids:
        start = max(first, at)
        while start <= last:
            stop = min(last, start + room - 1)
            portion.append((start, stop))
            room -= stop - start + 1
            start = stop + 1
            if not room:
                yield portion
                portion, room = [], PAGE_JOBS
    if portion:
        yield portion


def _first_other(page: Page, piece: PageSlice, good: bytes) -> int:
    """Return the index of the first job of a page slice in no good state, or its end."""
    part = bytes(page.state[piece.start : piece.stop])
    return piece.start + len(part) - len(part.lstrip(good))


async def failure_among(
    view: View, account: str, jids: Sequence[Range], turn: Turn
) -> Verdict | None:
    """Return the verdict of the first failed job of some ranges, or None if none failed."""
    for piece in await locate(view, account, jids, turn):
        page: Page = await view.get(layout.page(piece.page_id))
        for index in _failures(page, piece.start, piece.stop):
            return await stalled_by(view, piece, page, index)
        await turn.pause()
    return None


async def failed_jids(view: View, account: str, batch: str, turn: Turn) -> list[int]:
    """Return the jids of the failed jobs of a batch, ascending."""
    header: Header | None = await view.get(layout.header(account, batch))
    jids: list[int] = []
    for number in range(header.pages if header else 0):
        page: Page | None = await view.get(layout.page(layout.PageId(account, batch, number)))
        if header is not None and page is not None:
            first = header.first + number * PAGE_JOBS
            jids += [first + index for index in _failures(page, 0, len(page))]
        await turn.pause()
    return jids


def _failures(page: Page, start: int, stop: int) -> Iterator[int]:
    if any(page.state.find(state, start, stop) >= 0 for state in _FAILURES):
        yield from (at for at in range(start, stop) if page.state[at] in _FAILURES)
