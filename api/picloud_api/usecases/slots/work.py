"""`work`: a slot reports jobs that ended and leases the next ones, in one transaction."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.crashpoints import crashpoint
from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.page import PAGE_JOBS, Flag
from picloud_model.wire import AttemptRef, WorkAnswer

from picloud_api.engine.dependencies.dependency import Dependencies
from picloud_api.engine.jobs.fence import (
    Blame,
    charge_loss,
    give_back,
    holds_attempt,
    page_for_slot,
)
from picloud_api.engine.jobs.finish import Ending, encode_failure, finish, killed_ending
from picloud_api.engine.process.slot_sessions import Blocked
from picloud_api.engine.scheduling.leasing import most_batches
from picloud_api.engine.scheduling.nested_candidates import NestedCandidates
from picloud_api.engine.scheduling.slot_leases import leases_of, requeue
from picloud_api.engine.tracing.trace import JobTraces
from picloud_api.store import layout
from picloud_api.store.records import BatchId, Event, EventKind, Slot
from picloud_api.usecases.slots.portions import by_page, portions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page
    from picloud_model.wire import (
        JobReport,
        Lease,
        Report,
        WorkRequest,
    )

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.ready_queue import ReadyBatch
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.engine.scheduling.leasing import LeasePlanner
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header

_ENDINGS: Final = (State.DONE, State.ERROR, State.KILLED)


class _Stored(NamedTuple):
    """Jobs of a batch whose results are stored."""

    batch: str
    header: Header
    jobs: Sequence[JobReport]


class SlotWork:
    """Stores the reports of slots and leases jobs to them."""

    def __init__(self, context: Context, leasing: LeasePlanner) -> None:
        self.dependencies = Dependencies(context, leasing.plan_released)
        self._context = context
        self._commits = context.commits
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._run_times = context.run_times
        self._phase_times = context.phase_times
        self._clock = context.clock
        self._leasing = leasing
        self._nested = NestedCandidates(context)
        self._traces = JobTraces(context)
        self._batches = most_batches(context)

    async def work(self, session: SlotSession, request: WorkRequest) -> WorkAnswer:
        """Store reports and return leases; wait up to `wait_s` while there is nothing to lease.

        The fence drops reports of attempts that the slot has lost, so a request can be repeated.
        """
        turn = session.begin_turn()
        if request.lease and not request.awaiting:
            session.blocked = Blocked()
        *ahead, last = portions(request.reports, self._batches)
        for reports in ahead:
            plan = partial(self._report, session=session, reports=reports)
            touched, stored = await self._commits.run(plan)
            self._count(session.pool.account, stored)
            await requeue(self._context, session.pool.account, touched)
        leases = await self._report_and_lease(session, request, last)
        if leases:
            session.may_run_any = False
        if not leases and request.lease and not request.leaving and not request.awaiting:
            # Answer first the clients that wait for these results: the slot would only wait.
            await asyncio.sleep(0)
            leases = await self._wait(session, request, turn)
        if session.turn == turn and not request.leaving:
            leases += session.take()
        crashpoint("work.committed")
        if leases and self._queue.jobs(session.pool, 1):
            self._sessions.wake(session.pool, 1)
        is_leaving = (session.dismissed or session.retiring) and not leases
        is_idle = request.lease and not (leases or request.leaving or request.awaiting)
        return WorkAnswer(
            leases=leases,
            kills=session.take_kills(),
            exit=is_leaving and request.lease and not request.awaiting,
            stay=is_idle and not is_leaving and await self._stays(session),
        )

    async def _stays(self, session: SlotSession) -> bool:
        """Whether a slot that has nothing to do is kept warm."""
        warm = self._context.warm_slots
        if not warm.count(session.pool):
            return False
        slots = await self._commits.view.scan(Slot.prefix)
        return warm.keeps(session.slot, slots.values())

    async def _report_and_lease(
        self, session: SlotSession, request: WorkRequest, reports: list[Report]
    ) -> list[Lease]:
        account = session.pool.account

        async def plan(
            draft: Draft,
        ) -> tuple[list[Lease], set[tuple[str, int]], list[_Stored]]:
            returned, stored = await self._report(draft, session, reports)
            returned |= await self._returned(draft, session, request.returned)
            returned |= await self._returned(draft, session, request.stopped, begun=True)
            if request.resync or request.leaving:
                kept = {(job.batch, job.index) for job in request.holding}
                if not request.leaving:
                    kept |= _in_next_answer(session)
                returned |= await self._unclaimed(draft, session, kept)
            # What its blocked jobs wait for may run nowhere else.
            retiring = session.retiring and not request.awaiting
            wants = request.lease and not request.leaving and not retiring
            leases: list[Lease] = []
            if len(stored) == 1:
                takes = wants and not request.awaiting
                leases = await self._release(draft, session, stored[0].batch, takes=takes)
            if wants and not leases:
                leases = await self._plan(draft, session, request)
            return leases, returned, stored

        crashpoint("work.received")
        leases, returned, stored = await self._commits.run(plan)
        self._count(account, stored)
        await requeue(self._context, account, returned)
        return leases

    async def _release(
        self, draft: Draft, session: SlotSession, batch: str, *, takes: bool
    ) -> list[Lease]:
        """Queue what waited for the jobs of a batch that have ended; return what the slot takes."""
        leases: list[Lease] = []

        async def lease(draft: Draft, queued: ReadyBatch) -> int:
            if leases or not takes:
                return await self._leasing.plan_released(draft, queued)
            leases.extend(await self._leasing.plan_next(draft, session, queued))
            return sum(len(each.jobs) for each in leases)

        await self.dependencies.release_ended(draft, BatchId(session.pool.account, batch), lease)
        return leases

    async def _plan(self, draft: Draft, session: SlotSession, request: WorkRequest) -> list[Lease]:
        if not request.awaiting:
            return await self._leasing.plan(draft, session)
        candidates = self._nested.candidates(session, request.awaiting)
        return await self._leasing.plan_nested(draft, session, candidates)

    async def _wait(self, session: SlotSession, request: WorkRequest, turn: int) -> list[Lease]:
        deadline = self._clock() + request.wait_s

        async def plan(draft: Draft) -> list[Lease]:
            return await self._leasing.plan(draft, session) if session.turn == turn else []

        while session.turn == turn and not (session.handed or session.kills):
            if self._sessions.closed or session.dismissed or session.retiring:
                break
            # The slot counts as waiting before it looks for jobs, so that none arrives unnoticed
            # in between.
            with self._sessions.waiting(session):
                has_jobs = self._queue.jobs(session.pool, 1)
                leases = await self._commits.run(plan) if has_jobs else []
                remaining_s = deadline - self._clock()
                if leases or remaining_s <= 0 or session.turn != turn:
                    return leases
                await self._sessions.wait(session, remaining_s)
            if self._sessions.get(session.number) is not session:
                break
        return []

    async def _report(
        self, draft: Draft, session: SlotSession, reports: Sequence[Report]
    ) -> tuple[set[tuple[str, int]], list[_Stored]]:
        """Store reports; return the (batch, page) of jobs that are queued again, and the others."""
        account = session.pool.account
        touched = set()
        stored = []
        for report in reports:
            header: Header | None = await draft.get(layout.header(account, report.batch))
            if header is None:
                continue
            self._learn((account, header.function.digest), report.ended)
            for number, ended in by_page(report.ended).items():
                page_id = layout.PageId(account, report.batch, number)
                attempts = [(job.index % PAGE_JOBS, job.attempt) for job in ended]
                page = await page_for_slot(draft, page_id, attempts, session.number)
                if page is None:
                    continue
                held = [
                    job
                    for job in ended
                    if holds_attempt(page, job.index % PAGE_JOBS, job.attempt, session.number)
                ]
                retried = [job for job in held if _is_retried(page, job, header)]
                if retried:
                    await _retry(draft, page_id, retried)
                    touched.add((report.batch, number))
                    held = [job for job in held if job not in retried]
                endings = [_ending(job, job.index % PAGE_JOBS) for job in held]
                await finish(draft, page_id, endings, report.envelope)
                stored.append(_Stored(report.batch, header, held))
        return touched, stored

    def _count(self, account: str, stored: Sequence[_Stored]) -> None:
        """Count what jobs have taken, for metrics and traces, after their results were stored."""
        now = self._clock()
        for batch, header, jobs in stored:
            self._traces.ended(batch, header, jobs, now)
            options = header.options
            ran_ms = 0
            for job in jobs:
                self._phase_times.add(header.created_at, job.started_at, job.finished_at, now)
                if job.started_at:
                    ran_ms += round(max(0.0, job.finished_at - job.started_at) * 1000)
            cores = (account, options.core_type, options.env)
            self._phase_times.add_cores(cores, ran_ms * options.cores)

    def _learn(self, function: tuple[str, str], ended: Sequence[JobReport]) -> None:
        if ended:
            spent = sum(max(0.0, job.finished_at - job.started_at) for job in ended)
            self._run_times.learn(function, spent, len(ended))

    async def _returned(
        self,
        draft: Draft,
        session: SlotSession,
        returned: Sequence[AttemptRef],
        *,
        begun: bool = False,
    ) -> set[tuple[str, int]]:
        """Take back jobs that the slot has not started, or has stopped if they have `begun`.

        Returns:
            Their (batch, page).
        """
        touched = set()
        account = session.pool.account
        for job in returned:
            number, index = divmod(job.index, PAGE_JOBS)
            page_id = layout.PageId(account, job.batch, number)
            held = await page_for_slot(draft, page_id, [(index, job.attempt)], session.number)
            if held is None or not holds_attempt(held, index, job.attempt, session.number):
                continue
            page = await draft.edit(layout.page(page_id))
            if page is None:
                continue
            if page.flags[index] & Flag.KILL_REQUESTED:
                await finish(
                    draft, page_id, [killed_ending(index, page.started[index], self._clock())]
                )
                continue
            if begun:
                if await self._is_stopped_for_good(draft, page_id, index):
                    continue
            else:
                give_back(page, index)
            draft.emit(Event(EventKind.READY, account, job.batch))
            touched.add((job.batch, number))
        return touched

    async def _is_stopped_for_good(self, draft: Draft, page_id: layout.PageId, index: int) -> bool:
        """End a stopped job that must not run again, and queue another one again.

        Returns:
            Whether it was ended.
        """
        page = await draft.edit(layout.page(page_id))
        header: Header | None = await draft.get(layout.header(page_id.account, page_id.batch))
        if page is None or header is None:
            return True
        page.flags[index] |= Flag.BEGUN
        restartable = header.options.restartable
        cause = charge_loss(page, index, Blame.OUTSIDE, restartable=restartable)
        if cause is None:
            return False
        why = "its slots were stopped too often" if restartable else "the job is not restartable"
        message = f"The slot that ran the job was stopped; {why}."
        ending = Ending(
            index=index,
            state=State.ERROR,
            cause=cause,
            payload=encode_failure(cause, message),
            started_at=page.started[index],
            finished_at=self._clock(),
        )
        await finish(draft, page_id, [ending])
        return True

    async def _unclaimed(
        self, draft: Draft, session: SlotSession, kept: set[tuple[str, int]]
    ) -> set[tuple[str, int]]:
        """Take back the jobs that the server counts as held by the slot, but the slot does not."""
        account = session.pool.account
        lost = [
            AttemptRef(batch, index, attempt)
            for batch, index, attempt in await leases_of(
                self._commits.view, account, session.number
            )
            if (batch, index) not in kept
        ]
        return await self._returned(draft, session, lost)


def _in_next_answer(session: SlotSession) -> set[tuple[str, int]]:
    """Return (batch, index) of the jobs that the next answer to a slot will lease to it."""
    return {(lease.batch, job.index) for lease in session.handed for job in lease.jobs}


def _is_retried(page: Page, job: JobReport, header: Header) -> bool:
    """Whether a job that failed is queued again."""
    if not job.retry or not header.options.restartable:
        return False
    return not page.flags[job.index % PAGE_JOBS] & (Flag.RETRIED | Flag.KILL_REQUESTED)


async def _retry(draft: Draft, page_id: layout.PageId, jobs: Sequence[JobReport]) -> None:
    """Queue jobs of a page again whose processes were killed from outside."""
    page = await draft.edit(layout.page(page_id))
    if page is None:
        return
    for job in jobs:
        index = job.index % PAGE_JOBS
        page.flags[index] |= Flag.RETRIED
        give_back(page, index)
    draft.emit(Event(EventKind.READY, page_id.account, page_id.batch))


def _ending(job: JobReport, index: int) -> Ending:
    if job.state not in _ENDINGS:
        raise RequestRefused("A report names a state no job can end in.", field="reports")
    return Ending(
        index=index,
        state=State(job.state),
        cause=Cause(job.cause),
        payload=job.payload,
        started_at=job.started_at,
        finished_at=job.finished_at,
        blob=job.blob,
        info=job.info,
        printed=job.printed,
    )
