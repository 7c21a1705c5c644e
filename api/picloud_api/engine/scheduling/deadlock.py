"""Deadlock: jobs that wait for jobs that no slot is left to run, found and ended.

A slot sets blocked jobs aside and runs what they wait for, so this takes either more jobs one in
the other than a slot can set aside, or jobs that wait for each other. The newest of them fails:
whoever waits for it hears of that, and goes on or fails as well.
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
"""How long slots must have been stuck the same way."""
HEARD_S: Final = 8.0
"""A slot that has not said for so long what it waits for may wait for nothing any more."""


class Deadlock:
    """Looks for slots that are stuck for good."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._view = context.commits.view
        self._sessions = context.slot_sessions
        self._clock = context.clock

    async def resolve(self) -> None:
        """End one job in each slot that can go no deeper, or one where everything is stuck."""
        stuck = [session for session in self._sessions.all() if self._is_stuck(session)]
        for session in stuck:
            blocked = session.blocked.awaiting
            if session.blocked.full and await self._is_queued(session, blocked[-1]):
                what = f"its slot has set aside {len(blocked)} jobs already, and takes no more"
                await self._end(session, blocked[-1], what)
                return
        if stuck and await self._all_stuck(stuck):
            if self._widen(stuck):
                return
            session = max(stuck, key=lambda each: each.blocked.since)
            what = "every job that runs waits for another"
            await self._end(session, session.blocked.awaiting[-1], what)

    def _widen(self, stuck: Sequence[SlotSession]) -> bool:
        """Let slots run whatever their jobs wait for, if there are some that may not yet."""
        narrow = [each for each in stuck if not each.may_run_any and not each.blocked.full]
        for session in narrow:
            session.may_run_any = len(session.blocked.awaiting) > 1
            session.heartbeat_wakeup.set()
        return any(session.may_run_any for session in narrow)

    def _is_stuck(self, session: SlotSession) -> bool:
        blocked, now = session.blocked, self._clock()
        return (
            bool(blocked.awaiting)
            and blocked.idle
            and now - blocked.since > PATIENCE_S
            and now - blocked.said_at < HEARD_S
            # A wait with a timeout ends by itself.
            and not blocked.awaiting[-1].timed
        )

    async def _is_queued(self, session: SlotSession, blocked: BlockedOn) -> bool:
        """Whether nobody runs the first job that is waited for and has not ended."""
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
        """Whether no slot runs anything, nor will: for this process to judge it must know all."""
        sessions, queue = self._sessions, self._context.ready_queue
        known = await self._view.scan(Slot.prefix) if self._view.state.shared else sessions.all()
        resting = [each for each in sessions.all() if each.waiting is not None]
        free = any(queue.jobs(each.pool, 1) for each in resting)
        coming = any(sessions.coming(pool, self._clock()) for pool in queue.pools())
        return len(stuck) + len(resting) == len(known) and not free and not coming

    async def _end(self, session: SlotSession, blocked: BlockedOn, what: str) -> None:
        job, account = blocked.job, session.pool.account
        number, index = divmod(job.index, PAGE_JOBS)
        page_id = layout.PageId(account, job.batch, number)

        async def plan(draft: Draft) -> None:
            page = await draft.get(layout.page(page_id))
            header: Header | None = await draft.get(layout.header(account, job.batch))
            if page is None or header is None:
                return
            if holds_attempt(page, index, job.attempt, session.number):
                told = encode_failure(Cause.DEADLOCK, _sentence(blocked, what))
                now, began = self._clock(), page.started[index]
                ending = Ending(
                    index=index,
                    state=State.ERROR,
                    cause=Cause.DEADLOCK,
                    payload=told,
                    started_at=began,
                    finished_at=now,
                )
                await finish(draft, page_id, [ending])

        await self._context.commits.run(plan)
        session.heartbeat_wakeup.set()  # the answer says that the job is lost, which ends it there


def _sentence(blocked: BlockedOn, what: str) -> str:
    first = blocked.jids[0][0] if blocked.jids else 0
    return (
        f"deadlock: the job waits for job {first}, which no slot is left to run: {what}. "
        "Use _depends_on in place of waiting inside a job."
    )
