"""`kill`: ends jobs, at once or through the slots that run them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable
from picloud_model.job import UNDER_LEASE, State
from picloud_model.page import Flag
from picloud_model.ranges import merged
from picloud_model.wire import Killed

from picloud_api.engine.jobs.finish import finish, finish_alike, killed_ending, with_reason
from picloud_api.engine.jobs.locate import (
    PageSlice,
    group_by_page,
    locate,
    read_pages,
    refuse_deleted,
)
from picloud_api.engine.process.bulk_change import BulkChange
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId

_AHEAD: Final = 8
"""Pages that are read in one request before their jobs are killed, and most in one transaction."""
_PAUSE: Final = 2.0
"""How long a kill pauses after a transaction that others waited for, in times of how long it took.

A call waits for several transactions, and for the processor meanwhile.
"""
_TOGETHER: Final = 20
"""Pages that are read before the event loop may go on."""
SILENT_S: Final = 2.0
"""How long a slot may take by default: it sends SIGTERM, and SIGKILL a second later."""
_AGAIN_S: Final = 0.5
"""The pause before another attempt to end such a job while the state store is away."""


class KillJobs:
    """Kills jobs, and ends those whose slot does not report in time.

    Attributes:
        silent_s: How long a slot may take to report that it killed a job.
    """

    def __init__(self, context: Context) -> None:
        self.silent_s = SILENT_S
        self._commits = context.commits
        self._clock = context.clock
        self._turns = context.turns
        self._sessions = context.slot_sessions
        self._forced: set[asyncio.Task[None]] = set()

    async def kill(
        self, account: str, jids: Sequence[Range] | None, *, over_budget: bool = False
    ) -> Killed:
        """Kill jobs: at once those that no slot holds, the others through their slots.

        Args:
            account: The account that owns the jobs.
            jids: The jobs; None for all unfinished ones.
            over_budget: Whether a budget does it, and not their user; deleted ones are left out.

        Returns:
            How many of them were not final before.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted; then none is killed.
        """
        view = self._commits.view
        async with self._turns.of(account) as turn:
            if jids is None:
                pieces = await self._unfinished(account, turn)
            else:
                pieces = await locate(view, account, merged(jids), turn)
                checked = [] if over_budget else pieces
                async for piece, page in read_pages(view, checked, fresh=False, at_once=_TOGETHER):
                    refuse_deleted(page, piece)
                    await turn.pause()
            pieces = await self._waiting_first(account, pieces, turn)
        bulk = BulkChange(self._commits, self._turns, least=1, most=_AHEAD, pause=_PAUSE)
        count = 0

        async def change(chosen: Sequence[tuple[PageId, Sequence[int]]]) -> None:
            nonlocal count
            async with self._turns.of(account):
                killing = [self._kill_in(*each, over_budget=over_budget) for each in chosen]
                count += sum(await asyncio.gather(*killing))

        for group in group_by_page(pieces, _AHEAD):
            # Ahead: commits of all accounts wait while a plan reads, over a network page by page.
            await view.load(layout.page(page_id) for page_id, _ in group)
            await bulk.through(group, change)
        return Killed(count=count)

    def force_soon(self, page_id: PageId, attempts: Sequence[tuple[int, int]]) -> None:
        """End killed jobs of a page without their slots, if these report nothing in `silent_s`.

        Args:
            page_id: The page.
            attempts: (index, attempt) of each of them.
        """
        task = asyncio.create_task(self._force(page_id, attempts))
        self._forced.add(task)
        task.add_done_callback(self._forced.discard)

    async def stop(self) -> None:
        """Cancel what is still to be forced; the next start finds the flags in the pages."""
        for task in self._forced:
            task.cancel()
        await asyncio.gather(*self._forced, return_exceptions=True)

    async def _kill_in(self, page_id: PageId, indexes: Sequence[int], *, over_budget: bool) -> int:
        """Kill jobs of a page; return how many were not final."""
        flags = Flag.KILL_REQUESTED | (Flag.OVER_BUDGET if over_budget else 0)
        plan = partial(self._kill, page_id=page_id, indexes=indexes, flags=flags)
        ended, attempts = await self._commits.run(plan)
        if attempts:
            self.force_soon(page_id, attempts)
        return ended + len(attempts)

    async def _unfinished(self, account: str, turn: Turn) -> list[PageSlice]:
        markers = await self._commits.view.scan(layout.ready(account))
        spans = sorted((each.first, each.first + each.count - 1) for each in markers.values())
        pieces: list[PageSlice] = []
        for span in spans:
            pieces += await locate(self._commits.view, account, [span])
            await turn.pause()
        return pieces

    async def _waiting_first(
        self, account: str, pieces: Sequence[PageSlice], turn: Turn
    ) -> list[PageSlice]:
        """Put jobs that wait for others first: else the end of those might release them before."""
        first: list[PageSlice] = []
        others: list[PageSlice] = []
        for number, piece in enumerate(pieces, 1):
            # In memory only: where a marker was dropped from there, jobs are released in vain.
            name = layout.waiting(account, piece.page_id.batch)
            (others if self._commits.view.peek(name) is None else first).append(piece)
            if number % _TOGETHER == 0:
                await turn.pause()
        return [*first, *others]

    async def _kill(
        self, draft: Draft, page_id: PageId, indexes: Sequence[int], flags: int
    ) -> tuple[int, list[tuple[int, int]]]:
        """Return how many jobs ended, and (index, attempt) of those that their slot has to end."""
        name = layout.page(page_id)
        page: Page = await draft.get(name)
        free, held = indexes, list[int]()
        is_whole = len(indexes) == len(page) == page.open
        if page.leased or not is_whole:
            chosen = [index for index in indexes if page.state[index] < State.DONE]
            held = [index for index in chosen if page.state[index] in UNDER_LEASE]
            free = [index for index in chosen if page.state[index] not in UNDER_LEASE]
        ending = killed_ending(0, 0.0, self._clock())
        await finish_alike(draft, page_id, free, with_reason(ending, flags))
        own = await draft.edit(name) if held else None
        if own is None:
            return len(free), []
        for index in held:
            own.flags[index] |= flags
        # A slot that has ended reports nothing; why it ended is found out later.
        lost = [index for index in held if own.slot[index] in self._sessions.ended]
        held = [index for index in held if index not in lost]
        if held:
            draft.emit(Event(EventKind.KILL, *page_id[:2]))
        attempts = [(index, own.attempt[index]) for index in held]
        endings = [killed_ending(index, own.started[index], self._clock()) for index in lost]
        await finish(draft, page_id, endings)
        return len(free) + len(lost), attempts

    async def _force(self, page_id: PageId, attempts: Sequence[tuple[int, int]]) -> None:
        """End jobs whose slot has not reported their end within `silent_s`."""
        await asyncio.sleep(self.silent_s)

        async def plan(draft: Draft) -> None:
            page: Page | None = await draft.get(layout.page(page_id))
            endings = [
                killed_ending(index, page.started[index], self._clock())
                for index, attempt in attempts
                if page is not None
                and page.state[index] < State.DONE
                and page.attempt[index] == attempt
            ]
            await finish(draft, page_id, endings)

        while True:
            try:
                return await self._commits.run(plan)
            except Unavailable:
                await asyncio.sleep(_AGAIN_S)
