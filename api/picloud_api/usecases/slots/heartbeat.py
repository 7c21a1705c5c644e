"""`heartbeat`: a slot reports what runs, and receives kills and live queries."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from picloud_model.job import State
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import AttemptRef, HeartbeatAnswer

from picloud_api.engine.jobs.fence import holds_attempt, page_for_slot
from picloud_api.engine.process.batch_watch import wait_for_event
from picloud_api.engine.scheduling.nested_candidates import NestedCandidates
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from picloud_model.wire import BlockedOn, HeartbeatRequest, LiveQuery

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft


class SlotHeartbeat:
    """Records what slots run, and returns what they have to do."""

    def __init__(self, context: Context, live: LiveQueries) -> None:
        self._live = live
        self._commits = context.commits
        self._sessions = context.slot_sessions
        self._clock = context.clock
        self._nested = NestedCandidates(context)

    async def heartbeat(self, session: SlotSession, request: HeartbeatRequest) -> HeartbeatAnswer:
        """Record what a slot runs; wait until it has something to do, or the time is over."""
        self._live.receive_answers(session.number, request.live)
        wakeup = session.begin_heartbeat()
        awaiting, now = request.awaiting, self._clock()
        session.blocked = session.blocked.after(request, now)
        found = await self._found(session, request, wakeup)
        work = False
        with self._sessions.listening(session) if awaiting else nullcontext():
            while found is not None and not (session.kills or any(found) or work):
                remaining_s = now + request.wait_s - self._clock()
                if remaining_s <= 0:
                    break
                if not await wait_for_event(wakeup, remaining_s):
                    break
                wakeup.clear()
                found = await self._found(session, request, wakeup)
                work = bool(found and awaiting) and await self._has_work(session, awaiting)
                if not awaiting or self._sessions.closed:
                    break
        if found is None:
            return HeartbeatAnswer()
        lost, queries = found
        return HeartbeatAnswer(kills=session.take_kills(), lost=lost, live=queries, work=work)

    async def _found(
        self, session: SlotSession, request: HeartbeatRequest, wakeup: asyncio.Event
    ) -> tuple[list[AttemptRef], list[LiveQuery]] | None:
        """Return lost attempts and queries; None if they are for a newer heartbeat of the slot."""
        if wakeup is session.heartbeat_wakeup:
            lost = await self._record_running(session, request)
            if wakeup is session.heartbeat_wakeup:
                return lost, self._live.take_queries(session.number)
        return None

    async def _has_work(self, session: SlotSession, awaiting: Sequence[BlockedOn]) -> bool:
        """Whether a slot with blocked jobs would get a lease if it requested one."""
        async for _ in self._nested.candidates(session, awaiting):
            return True
        return False

    async def _record_running(
        self, session: SlotSession, request: HeartbeatRequest
    ) -> list[AttemptRef]:
        """Record jobs that have started, and kills; return attempts that the slot has lost."""
        account = session.pool.account
        started, lost = [], []
        for job in (*request.running, *request.holding):
            number, index = divmod(job.index, PAGE_JOBS)
            page_id = layout.PageId(account, job.batch, number)
            attempts = [(index, job.attempt)]
            page = await page_for_slot(self._commits.view, page_id, attempts, session.number)
            if page is None or not holds_attempt(page, index, job.attempt, session.number):
                lost.append(job)
                continue
            if job in request.running and not page.flags[index] & Flag.BEGUN:
                started.append(job)
            if page.flags[index] & Flag.KILL_REQUESTED:
                session.kills.add((job.batch, job.index, job.attempt))
        if started:
            await self._commits.run(lambda draft: self._start(draft, session, started))
        return lost

    async def _start(self, draft: Draft, session: SlotSession, jobs: Sequence[AttemptRef]) -> None:
        account = session.pool.account
        for job in jobs:
            number, index = divmod(job.index, PAGE_JOBS)
            page = await draft.edit(layout.page(layout.PageId(account, job.batch, number)))
            if page is not None and holds_attempt(page, index, job.attempt, session.number):
                if not page.flags[index] & Flag.BEGUN:
                    page.state[index] = State.PROCESSING
                    page.started[index] = self._clock()
                page.flags[index] |= Flag.BEGUN
                draft.emit(Event(EventKind.STARTED, account, job.batch))
