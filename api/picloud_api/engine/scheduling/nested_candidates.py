"""NestedCandidates: what a slot may run whose jobs are all blocked, so that they can go on.

That is what the newest of them waits for, what that depends on, and what any of these has made, the
newest first: so each job is further down the same branch than the one it is run beside, and a slot
has no more children than the branch is deep. What only the older ones wait for may lie anywhere: it
would fill the slot until there is no room for what has to end first. A slot takes that where it has
waited for long and has few children, or where all slots are stuck.
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
"""How long a slot must have waited the same way to run what only its older jobs wait for."""
MOST_WIDE: Final = 4
"""With more jobs that wait it does not, unless everything is stuck."""
MOST_PREREQUISITES: Final = 100
"""Batches looked at for what they depend on."""


class Candidate:
    """A batch a blocked slot may lease from; `indexes` says which of its jobs, None for all."""

    __slots__ = ("indexes", "queued")

    def __init__(self, queued: ReadyBatch, indexes: set[int] | None) -> None:
        self.queued = queued
        self.indexes = indexes


class NestedCandidates:
    """Finds candidates among the batches that are queued."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view
        self._queue = context.ready_queue
        self._clock = context.clock

    async def candidates(
        self, session: SlotSession, awaiting: Sequence[BlockedOn]
    ) -> AsyncIterator[Candidate]:
        """Batches that a slot may lease from while its jobs wait, those to be preferred first.

        Args:
            session: The slot.
            awaiting: Its jobs that wait, the newest last.
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
        """Batches with what some jobs wait for, and with what descends from it, newest first."""
        spans = [span for each in awaiting for span in each.jids]
        spans = await self._with_prerequisites(pool.account, spans)
        awaited = await self._awaited(pool, spans)
        kin = _Descendants(spans, await self._blocked(pool.account, awaiting))
        for queued in self._queue.made_by_jobs(pool):
            while awaited and awaited[-1].queued.first > queued.first:
                yield awaited.pop()
            if not (awaited and awaited[-1].queued is queued) and await self._is_kin(queued, kin):
                yield Candidate(queued, None)
        while awaited:
            yield awaited.pop()

    async def _with_prerequisites(self, account: str, spans: list[Range]) -> list[Range]:
        """WaitSet jobs, and those that they in turn depend on before they can run."""
        found, seen, fresh = list(spans), set[str](), spans
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
            found += fresh
        return found

    async def _pieces(self, account: str, spans: Sequence[Range]) -> list[PageSlice]:
        try:
            return await locate(self._view, account, spans)
        except PiCloudError:
            return []  # whoever waits hears of it from another request

    async def _awaited(self, pool: Pool, spans: Sequence[Range]) -> list[Candidate]:
        """The queued batches that hold awaited jobs themselves, the newest last."""
        found: dict[str, Candidate] = {}
        for piece in await self._pieces(pool.account, spans):
            queued = self._queue.get(piece.page_id.account, piece.page_id.batch)
            if queued is not None and queued.pool == pool:
                base = piece.page_id.page * PAGE_JOBS
                indexes = range(base + piece.start, base + piece.stop)
                candidate = found.setdefault(queued.batch, Candidate(queued, set()))
                assert candidate.indexes is not None
                candidate.indexes.update(indexes)
        return sorted(found.values(), key=lambda each: each.queued.first)

    async def _blocked(self, account: str, awaiting: Sequence[BlockedOn]) -> set[int]:
        """The jids of the blocked jobs."""
        found = set()
        for each in awaiting:
            header: Header | None = await self._view.get(layout.header(account, each.job.batch))
            if header is not None:
                found.add(header.first + each.job.index)
        return found

    async def _is_kin(self, queued: ReadyBatch, kin: _Descendants) -> bool:
        """Whether a batch was made by one of those jobs, or by what they have made."""
        passed: list[int] = []
        jid, answer = queued.parent, False
        while jid:
            known = kin.known(jid)
            if known is not None:
                answer = known
                break
            passed.append(jid)
            jid = await self._parent(queued.account, jid)
        kin.note(passed, answer=answer)
        return answer

    async def _parent(self, account: str, jid: int) -> int:
        try:
            (piece,) = await locate(self._view, account, [(jid, jid)])
        except JobNotFound:
            return 0
        header: Header | None = await self._view.get(layout.header(account, piece.page_id.batch))
        return header.parent if header else 0


class _Descendants:
    """Which jobs are awaited or blocked, or descend from one that is, as far as it is known."""

    def __init__(self, awaited: Sequence[Range], blocked: set[int]) -> None:
        self._awaited = awaited
        self._known = dict.fromkeys(blocked, True)

    def known(self, jid: int) -> bool | None:
        """Whether a job is one of them; None where that is not known yet."""
        if any(first <= jid <= last for first, last in self._awaited):
            return True
        return self._known.get(jid)

    def note(self, jids: Sequence[int], *, answer: bool) -> None:
        """Remember whether these are."""
        self._known.update(dict.fromkeys(jids, answer))
