"""Deadlocks: finds jobs that wait for jobs that no slot is left to run, and ends one of them.

A slot sets blocked jobs aside and runs what they wait for. So a deadlock takes either more nested
jobs than a slot can set aside, or jobs that wait for each other. The newest of them fails; the jobs
that wait for it go on with its failure, or fail as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import PiCloudError
from picloud_model.job import LEASABLE, Cause, State
from picloud_model.page import PAGE_JOBS

from picloud_api.engine.jobs.fence import holds_attempt
from picloud_api.engine.jobs.finish import Ending, encode_failure, finish
from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout
from picloud_api.store.records import Slot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import BlockedOn

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header

PATIENCE_S: Final = 10.0
"""How long slots must have been blocked on the same jobs."""
REPORTED_S: Final = 8.0
"""A slot whose last report is older than this may no longer be blocked."""


class Deadlock:
    """Finds slots that are blocked for good."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._view = context.commits.view

    async def resolve(self) -> None:
        """End a job of a slot that can set aside no more, or one job if all slots are stuck."""
        stuck = [
            session for session in self._context.slot_sessions.all() if self._is_stuck(session)
        ]
        for session in stuck:
            blocked = session.blocked.awaiting
            if session.blocked.full and await self._is_queued(session, blocked[-1]):
                reason = f"its slot has set aside {len(blocked)} jobs already, and takes no more"
                await self._end(session, blocked[-1], reason)
                return
        if stuck and await self._all_stuck(stuck):
            if self._widen(stuck):
                return
            session = max(stuck, key=lambda each: each.blocked.since)
            reason = "every job that runs waits for another"
            await self._end(session, session.blocked.awaiting[-1], reason)

    def _widen(self, stuck: Sequence[SlotSession]) -> bool:
        """Let slots run whatever their jobs wait for; return whether that changes anything."""
        narrow = [each for each in stuck if not each.may_run_any and not each.blocked.full]
        for session in narrow:
            session.may_run_any = len(session.blocked.awaiting) > 1
            session.heartbeat_wakeup.set()
        return any(session.may_run_any for session in narrow)

    def _is_stuck(self, session: SlotSession) -> bool:
        blocked, now = session.blocked, self._context.clock()
        return (
            bool(blocked.awaiting)
            and blocked.idle
            and now - blocked.since > PATIENCE_S
            and now - blocked.reported_at < REPORTED_S
            # A wait with a timeout ends by itself.
            and not blocked.awaiting[-1].timed
        )

    async def _is_queued(self, session: SlotSession, blocked: BlockedOn) -> bool:
        """Whether the first unfinished job that it waits for is queued: no slot runs it."""
        try:
            wanted = await locate(self._view, session.pool.account, blocked.jids)
        except PiCloudError:
            return False
        for piece in wanted:
            page = await self._view.get(layout.page(piece.page_id))
            for state in page.state[piece.start : piece.stop] if page is not None else ():
                if not State(state).final:
                    return state in LEASABLE
        return False

    async def _all_stuck(self, stuck: Sequence[SlotSession]) -> bool:
        """Whether no slot runs anything, nor will; only a process that knows all slots can tell."""
        sessions, queue = self._context.slot_sessions, self._context.ready_queue
        live = await self._view.scan(Slot.prefix) if self._view.state.shared else sessions.all()
        resting = [each for each in sessions.all() if each.waiting is not None]
        free = any(queue.jobs(each.pool, 1) for each in resting)
        starting = any(sessions.starting(pool, self._context.clock()) for pool in queue.pools())
        return len(stuck) + len(resting) == len(live) and not free and not starting

    async def _end(self, session: SlotSession, blocked: BlockedOn, reason: str) -> None:
        job, account = blocked.job, session.pool.account
        number, index = divmod(job.index, PAGE_JOBS)
        page_id = layout.PageId(account, job.batch, number)

        async def plan(draft: Draft) -> None:
            page = await draft.get(layout.page(page_id))
            header: Header | None = await draft.get(layout.header(account, job.batch))
            if page is None or header is None:
                return
            if holds_attempt(page, index, job.attempt, session.number):
                ending = Ending(
                    index=index,
                    state=State.ERROR,
                    cause=Cause.DEADLOCK,
                    payload=encode_failure(Cause.DEADLOCK, _message(blocked, reason)),
                    started_at=page.started[index],
                    finished_at=self._context.clock(),
                )
                await finish(draft, page_id, [ending])

        await self._context.commits.run(plan)
        session.heartbeat_wakeup.set()  # the answer says that the job is lost, so the slot ends it


def _message(blocked: BlockedOn, reason: str) -> str:
    first = blocked.jids[0][0] if blocked.jids else 0
    return (
        f"deadlock: the job waits for job {first}, which no slot is left to run: {reason}. "
        "Use _depends_on in place of waiting inside a job."
    )
