"""Why a job does not run yet, or has not ended: what it waits for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from picloud_model import ranges
from picloud_model.job import LEASABLE, State
from picloud_model.page import PAGE_JOBS

from picloud_api.engine.jobs.locate import locate
from picloud_api.engine.scheduling.pool import pool_of
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_driver.scheduler import Pool, SchedulerPort
    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Header, Waiting

_SHOWN: Final = 5
"""How many ranges of jobs a reason names."""


class Why:
    """Explains what jobs wait for. It asks the scheduler, so running a job never involves it.

    Args:
        context: The engine.
        scheduler: What starts slots.
        refusal: Returns why bytes of an account could not be stored just now, or "".
    """

    def __init__(
        self, context: Context, scheduler: SchedulerPort, refusal: Callable[[str], str]
    ) -> None:
        self._view = context.commits.view
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._clock = context.clock
        self._scheduler = scheduler
        self._refusal = refusal

    async def reasons(self, account: str, jids: Sequence[Range]) -> dict[int, str]:
        """Return what each job waits for, in a sentence or two; "" if it runs or has ended.

        A job whose result cannot be stored runs until it is.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            Unavailable: When the scheduler does not answer.
        """
        reasons: dict[int, str] = {}
        prerequisites: dict[str, str] = {}
        pending_reasons: dict[Pool, str] = {}
        for piece in await locate(self._view, account, jids):
            header: Header = await self._view.get(layout.header(account, piece.page_id.batch))
            page: Page = await self._view.get(layout.page(piece.page_id))
            pool = pool_of(account, header.options, header.image)
            for index in range(piece.start, piece.stop):
                state = State(page.state[index])
                if state is State.WAITING:
                    batch = piece.page_id.batch
                    if batch not in prerequisites:
                        prerequisites[batch] = await self._prerequisite(account, batch)
                    reasons[piece.first + index] = prerequisites[batch]
                    continue
                if state in (State.LEASED, State.PROCESSING):
                    reasons[piece.first + index] = self._unstored(account)
                    continue
                if state in LEASABLE and pool not in pending_reasons:
                    pending_reasons[pool] = await self._scheduler.pending_reason(pool)
                reasons[piece.first + index] = self._reason(
                    piece, page, index, pool, pending_reasons[pool] if state in LEASABLE else ""
                )
        return reasons

    def _unstored(self, account: str) -> str:
        message = self._refusal(account)
        return f"It runs, or its result waits until it can be stored: {message}" if message else ""

    def _reason(
        self, piece: PageSlice, page: Page, index: int, pool: Pool, pending_reason: str
    ) -> str:
        if State(page.state[index]) not in LEASABLE:
            return ""
        ahead = self._ahead(piece, page, index, pool)
        slots = self._sessions.count(pool)
        starting = self._sessions.starting(pool, self._clock())
        kind = f"{pool.cores} x {pool.core_type}"
        before = f"{ahead:,} {'job is' if ahead == 1 else 'jobs are'} ahead of it"
        verb = "is" if starting == 1 else "are"
        if not slots:
            position = f"{before}, and there is" if ahead else "There is"
            position += f" no slot of {kind} yet"
            position += f"; {starting} {verb} starting." if starting else "."
        else:
            position = f"{before} for {slots} {'slot' if slots == 1 else 'slots'} of {kind}"
            position += f", and {starting} more {verb} starting." if starting else "."
        return f"{position} {pending_reason}".rstrip()

    async def _prerequisite(self, account: str, batch: str) -> str:
        """Name the jobs that a batch waits for; those that ended already are not left out."""
        waiting: Waiting | None = await self._view.get(layout.waiting(account, batch))
        if waiting is None:  # it is being released
            return "The jobs it depends on have just ended."
        spans = waiting.depends_on
        names = [f"{first}" if first == last else f"{first}-{last}" for first, last in spans]
        shown = ", ".join(names[:_SHOWN])
        more = f" and {len(names) - _SHOWN:,} more ranges" if len(names) > _SHOWN else ""
        if ranges.count(spans) == 1:
            return f"Job {shown}, which it depends on, has not ended."
        return f"The jobs it depends on have not all ended: {shown}{more}."

    def _ahead(self, piece: PageSlice, page: Page, index: int, pool: Pool) -> int:
        """Return about how many jobs will be leased before this one."""
        ahead = sum(page.state[:index].count(state) for state in LEASABLE)
        with closing(self._queue.batches(pool)) as batches:
            for queued in batches:
                if queued.batch == piece.page_id.batch:
                    before = sum(1 for number in queued.pages if number < piece.page_id.page)
                    return ahead + before * PAGE_JOBS
                ahead += queued.jobs
        return ahead
