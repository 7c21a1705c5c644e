"""Nested candidates: what a slot may run while all its jobs are blocked, so that they can go on.

These are the jobs that the newest blocked job waits for, the jobs that those depend on, and the
jobs that any of these have made, the newest first. So each job is further down the same branch of
the tree of jobs than the one before it, and a slot has no more children than the branch is deep (a
"helping join", as in Java's ForkJoinPool). What only the older blocked jobs wait for may be in any
branch: it could fill the slot until there is no room for what has to end first. A slot takes that
only if it has waited for long and has few children, or if all slots are stuck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import JobNotFound, PiCloudError
from picloud_model.job import State
from picloud_model.page import PAGE_JOBS

from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from picloud_driver.scheduler import Pool
    from picloud_model.page import Page
    from picloud_model.ranges import Range
    from picloud_model.wire import BlockedOn

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.ready_queue import ReadyBatch
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.records import Header, Waiting


WIDE_AFTER_S: Final = 2.0
"""How long a slot must have been blocked on the same jobs to run what only older ones wait for."""
MOST_WIDE: Final = 4
"""With more blocked jobs than this it does not, unless all slots are stuck."""
MOST_PREREQUISITES: Final = 100
"""Most batches whose dependencies are followed."""


class Candidate:
    """A batch from which a blocked slot may lease the jobs at `indexes`, or all if that is None."""

    __slots__ = ("indexes", "queued")

    def __init__(self, queued: ReadyBatch, indexes: set[int] | None) -> None:
        self.queued = queued
        self.indexes = indexes


class NestedCandidates:
    """Finds candidates among the queued batches."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view
        self._queue = context.ready_queue
        self._clock = context.clock

    async def candidates(
        self, session: SlotSession, awaiting: Sequence[BlockedOn]
    ) -> AsyncIterator[Candidate]:
        """Yield the batches that a slot may lease from while its jobs wait, the preferred first.

        Args:
            session: The slot.
            awaiting: Its blocked jobs, the newest last.
        """
        async for candidate in self._below(session.pool, awaiting[-1:]):
            yield candidate
        if len(awaiting) > 1 and self._may_go_wide(session, awaiting):
            async for candidate in self._below(session.pool, awaiting):
                yield candidate

    def _may_go_wide(self, session: SlotSession, awaiting: Sequence[BlockedOn]) -> bool:
        blocked = session.blocked
        same = list(blocked.awaiting) == list(awaiting)
        long = same and self._clock() - blocked.since >= WIDE_AFTER_S
        return session.may_run_any or (long and len(awaiting) <= MOST_WIDE)

    async def _below(self, pool: Pool, awaiting: Sequence[BlockedOn]) -> AsyncIterator[Candidate]:
        """Yield the batches that blocked jobs wait for, and their descendants, newest first."""
        spans = [span for each in awaiting for span in each.jids]
        spans = await self._with_prerequisites(pool.account, spans)
        awaited = await self._awaited(pool, spans)
        descendants = _Descendants(spans, await self._blocked(pool.account, awaiting))
        for queued in self._queue.made_by_jobs(pool):
            while awaited and awaited[-1].queued.first > queued.first:
                yield awaited.pop()
            if not (awaited and awaited[-1].queued is queued) and await self._descends(
                queued, descendants
            ):
                yield Candidate(queued, None)
        while awaited:
            yield awaited.pop()

    async def _with_prerequisites(self, account: str, spans: list[Range]) -> list[Range]:
        """Return the awaited jobs, and those that they depend on in turn."""
        reached, seen, fresh = list(spans), set[str](), spans
        while fresh and len(seen) < MOST_PREREQUISITES:
            before, fresh = fresh, []
            for piece in await self._pieces(account, before):
                page: Page | None = await self._view.get(layout.page(piece.page_id))
                batch = piece.page_id.batch
                if page is None or batch in seen or State.WAITING not in page.state:
                    continue
                seen.add(batch)
                waiting: Waiting | None = await self._view.get(layout.waiting(account, batch))
                fresh += waiting.depends_on if waiting else []
            reached += fresh
        return reached

    async def _pieces(self, account: str, spans: Sequence[Range]) -> list[PageSlice]:
        try:
            return await locate(self._view, account, spans)
        except PiCloudError:
            return []  # the request by which the job waits reports that

    async def _awaited(self, pool: Pool, spans: Sequence[Range]) -> list[Candidate]:
        """Return the queued batches that hold awaited jobs, the newest last."""
        candidates: dict[str, Candidate] = {}
        for piece in await self._pieces(pool.account, spans):
            queued = self._queue.get(piece.page_id.account, piece.page_id.batch)
            if queued is not None and queued.pool == pool:
                base = piece.page_id.page * PAGE_JOBS
                indexes = range(base + piece.start, base + piece.stop)
                candidate = candidates.setdefault(queued.batch, Candidate(queued, set()))
                assert candidate.indexes is not None
                candidate.indexes.update(indexes)
        return sorted(candidates.values(), key=lambda each: each.queued.first)

    async def _blocked(self, account: str, awaiting: Sequence[BlockedOn]) -> set[int]:
        """Return the jids of the blocked jobs."""
        jids = set()
        for each in awaiting:
            header: Header | None = await self._view.get(layout.header(account, each.job.batch))
            if header is not None:
                jids.add(header.first + each.job.index)
        return jids

    async def _descends(self, queued: ReadyBatch, descendants: _Descendants) -> bool:
        """Whether a batch was made by one of these jobs, or by a descendant of one."""
        passed: list[int] = []
        jid, is_one = queued.parent, False
        while jid:
            cached = descendants.contains(jid)
            if cached is not None:
                is_one = cached
                break
            passed.append(jid)
            jid = await self._parent(queued.account, jid)
        descendants.add(passed, is_one=is_one)
        return is_one

    async def _parent(self, account: str, jid: int) -> int:
        try:
            (piece,) = await locate(self._view, account, [(jid, jid)])
        except JobNotFound:
            return 0
        header: Header | None = await self._view.get(layout.header(account, piece.page_id.batch))
        return header.parent if header and isinstance(header.parent, int) else 0


class _Descendants:
    """The jobs that are awaited or blocked, or descend from such a job, as far as is known."""

    def __init__(self, awaited: Sequence[Range], blocked: set[int]) -> None:
        self._awaited = awaited
        self._known = dict.fromkeys(blocked, True)

    def contains(self, jid: int) -> bool | None:
        """Whether a job is one of them; None if that is not known yet."""
        if any(first <= jid <= last for first, last in self._awaited):
            return True
        return self._known.get(jid)

    def add(self, jids: Sequence[int], *, is_one: bool) -> None:
        """Remember whether these jobs are some of them."""
        self._known.update(dict.fromkeys(jids, is_one))
