"""Dependencies: jobs that wait until others have ended, and what becomes of them then.

A batch that waits leaves a `waiting/` key with the jids it depends on; its pages say WAITING. Every
process derives from these keys whom to look after, watches one batch for each premise, and ends the
waiting as soon as it can tell how: final states never change, so all of them decide the same, and
whoever is slower finds nothing left to do.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError
from picloud_model.job import FINAL, State
from picloud_model.page import PAGE_JOBS

from picloud_api.store import layout
from picloud_api.store.records import Change
from picloud_api.usecases.finding import Piece, pieces
from picloud_api.usecases.releasing import RELEASED, Verdict, change, stalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.store.records import Header, Signal, Waiting
    from picloud_api.usecases.context import Context

PAGES_AT_ONCE: Final = 8
"""Pages that leave WAITING in one transaction: stalled ones are 15 kB each."""
BATCHES_AT_ONCE: Final = 50
"""Batches whose waiting ends at once, in as few transactions as they fit."""

_FAILURES: Final = (State.ERROR, State.KILLED, State.STALLED)
_GOOD: Final = {False: bytes([State.DONE]), True: bytes(FINAL)}
"""States of a job that nobody waits for any more, by whether failures are ignored."""

_log = structlog.get_logger()


class Premise:
    """Jobs that have to end before some batches begin: these are judged together.

    `asked` are the jids as ascending ranges; all below `at` have ended well. `watched` is the batch
    that job `at` lies in: nothing else needs to be looked at before something of it ends.
    """

    __slots__ = ("account", "asked", "at", "batches", "ignore", "verdict", "watched")

    def __init__(self, account: str, waiting: Waiting) -> None:
        self.account = account
        self.asked = waiting.depends_on
        self.ignore = waiting.ignore
        self.at = self.asked[0][0]
        self.batches: set[str] = set()
        self.watched = ""
        self.verdict: Verdict | None = None

    @property
    def good(self) -> bytes:
        """The states of a dependency that ended well."""
        return _GOOD[self.ignore]

    def within(self, first: int, last: int) -> list[Range]:
        """Those of the jids asked for that lie in a range."""
        cut = ((max(low, first), min(high, last)) for low, high in self.asked)
        return [(low, high) for low, high in cut if low <= high]


class Dependencies:
    """Ends the waiting of batches; does nothing, and reads nothing, while none waits."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._view = context.commits.view
        self._clock = context.clock
        self._premises: dict[tuple[str, tuple[Range, ...], bool], Premise] = {}
        self._known: dict[str, Premise] = {}
        self._watched: dict[str, set[Premise]] = {}
        self._fresh: set[tuple[str, str]] = set()
        self._failed: set[tuple[str, str]] = set()
        self._due: set[Premise] = set()
        self._task: asyncio.Task[None] | None = None

    def hear(self, signal: Signal) -> None:
        """Note a change that was committed, here or by another process."""
        if signal.change is Change.WAITING:
            self._fresh.add((signal.account, signal.batch))
        elif signal.change is Change.FINISHED:
            self._due |= self._watched.get(signal.batch, set())
        elif signal.change is Change.FAILED and self._premises:
            self._failed.add((signal.account, signal.batch))
        self._begin()

    async def recover(self) -> set[str]:
        """Derive from the store who waits, and judge everybody anew; answers the batches."""
        found = set()
        for name in await self._view.scan(layout.WAITING):
            _, account, batch = name.split("/")
            found.add(batch)
            if batch not in self._known:
                self._fresh.add((account, batch))
        # Whoever waits for a batch that waits itself is told when that ends.
        self._due |= {
            premise for premise in self._premises.values() if premise.watched not in found
        }
        self._begin()
        return found

    async def stop(self) -> None:
        """Stop; a start finds in the store what is left to do."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        idle = self._task is None or self._task.done()
        if idle and (self._fresh or self._failed or self._due):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Do what is due, one after the other, until nothing is; a resync finds what failed."""
        while self._fresh or self._failed or self._due:
            try:
                if self._fresh:
                    await self._take_in(*self._fresh.pop())
                elif self._failed:
                    await self._look_at_failures(*self._failed.pop())
                else:
                    await self._judge(self._due.pop())
            except PiCloudError as error:
                _log.warning("dependency.unavailable", reason=error.message)
            except Exception:  # noqa: BLE001 - one batch must not keep the others waiting
                _log.exception("dependency.failed")

    async def _take_in(self, account: str, batch: str) -> None:
        waiting: Waiting | None = await self._view.fresh(layout.waiting(account, batch))
        if waiting is None or batch in self._known:
            return
        key = (account, tuple(waiting.depends_on), waiting.ignore)
        premise = self._premises.get(key)
        if premise is None:
            premise = self._premises[key] = Premise(account, waiting)
            if not premise.ignore:
                premise.verdict = await self._first_failure(account, premise.asked)
        premise.batches.add(batch)
        self._known[batch] = premise
        self._due.add(premise)

    async def _look_at_failures(self, account: str, batch: str) -> None:
        """Jobs of a batch failed: those who depend on one of them need not wait for the others."""
        header: Header | None = await self._view.get(layout.header(account, batch))
        if header is None:
            return
        last = header.first + header.count - 1
        for premise in list(self._premises.values()):
            if premise.account != account or premise.ignore or premise.verdict is not None:
                continue
            if asked := premise.within(header.first, last):
                premise.verdict = await self._first_failure(account, asked)
                if premise.verdict is not None:
                    self._due.add(premise)

    async def _first_failure(self, account: str, asked: Sequence[Range]) -> Verdict | None:
        for piece in await pieces(self._view, account, asked):
            page: Page = await self._view.get(layout.page(piece.place))
            part = page.state[piece.start : piece.stop]
            places = [at for state in _FAILURES if (at := part.find(state)) >= 0]
            if places:
                return await stalled(self._view, piece, page, piece.start + min(places))
        return None

    async def _judge(self, premise: Premise) -> None:
        if premise.verdict is None:
            premise.verdict = await self._verdict(premise)
        if premise.verdict is None:
            return
        while premise.batches:
            some = list(premise.batches)[:BATCHES_AT_ONCE]
            await asyncio.gather(
                *(self._end(premise.account, batch, premise.verdict) for batch in some)
            )
            for batch in some:
                premise.batches.discard(batch)
                self._known.pop(batch, None)
        self._watch(premise, "")
        self._premises.pop((premise.account, tuple(premise.asked), premise.ignore), None)

    async def _verdict(self, premise: Premise) -> Verdict | None:
        """Go on from the first job not known to have ended well."""
        for first, last in premise.asked:
            while (start := max(first, premise.at)) <= last:
                stop = min(last, start + PAGE_JOBS - 1)
                for piece in await pieces(self._view, premise.account, [(start, stop)]):
                    # Before it is read: what ends from now on is heard of.
                    self._watch(premise, piece.place.batch)
                    page: Page = await self._view.fresh(layout.page(piece.place))
                    at = _first_other(page, piece, premise.good)
                    premise.at = piece.first + at
                    if at < piece.stop:
                        failed = State(page.state[at]).final
                        return await stalled(self._view, piece, page, at) if failed else None
        return RELEASED

    def _watch(self, premise: Premise, batch: str) -> None:
        if premise.watched != batch:
            before = self._watched.get(premise.watched, set())
            before.discard(premise)
            if not before:
                self._watched.pop(premise.watched, None)
            premise.watched = batch
            if batch:
                self._watched.setdefault(batch, set()).add(premise)

    async def _end(self, account: str, batch: str, verdict: Verdict) -> None:
        """Let the jobs of a batch begin, or stall them, some pages at a time."""
        header: Header | None = await self._view.get(layout.header(account, batch))
        pages = header.pages if header else 0
        for start in range(0, pages, PAGES_AT_ONCE):
            numbers = range(start, min(pages, start + PAGES_AT_ONCE))
            plan = partial(
                change,
                places=[layout.Place(account, batch, number) for number in numbers],
                verdict=verdict,
                now=self._clock(),
                last=numbers.stop == pages,
            )
            await self._commits.run(plan)


def _first_other(page: Page, piece: Piece, good: bytes) -> int:
    """The index of the first job of a piece in another state than these, or its end."""
    part = bytes(page.state[piece.start : piece.stop])
    return piece.start + len(part) - len(part.lstrip(good))
