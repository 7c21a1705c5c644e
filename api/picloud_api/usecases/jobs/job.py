"""Jobs as their user sees them: status, waiting for results, kill."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.job import UNDER_LEASE, State
from picloud_model.pack import Envelope, Pack
from picloud_model.page import Flag
from picloud_model.wire import Content, Killed, Outcome, Outcomes, Statuses, StatusRun

from picloud_api.engine.jobs.finish import finish, killed
from picloud_api.engine.jobs.locate import PageSlice, by_page, locate, pages, refuse_deleted
from picloud_api.engine.jobs.wait_set import WaitSet
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from picloud_model.job import Status
    from picloud_model.page import Page
    from picloud_model.ranges import Range
    from picloud_model.wire import WaitRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""Results in one answer, about; the client asks again for more."""
GATHER_S: Final = 0.15
"""How long some results wait for more of them, so that a big map takes few requests."""
GATHER_PIECE_S: Final = 50e-6
"""How much longer for each page or small batch asked for, as each takes that long to look at."""
SILENT_S: Final = 2.0
"""How long a slot may take to end a job it was told to kill."""


class Jobs:
    """Answers questions about jobs and ends them."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._late: set[asyncio.Task[None]] = set()

    async def status(self, account: str, asked: Sequence[Range]) -> Statuses:
        """The status of each job, as runs in the order asked.

        Raises:
            JobNotFound: When one of them does not exist in this account.
        """
        runs: list[StatusRun] = []
        view = self._commits.view
        async for piece, page in pages(view, await locate(view, account, asked)):
            refuse_deleted(page, piece)
            for index in range(piece.start, piece.stop):
                shown, jid = page.shown(index).value, piece.first + index
                last = runs[-1] if runs else None
                if last and last.status == shown and last.last == jid - 1:
                    runs[-1] = StatusRun(last.first, jid, shown)
                else:
                    runs.append(StatusRun(jid, jid, shown))
        return Statuses(runs=runs)

    async def wait(self, account: str, request: WaitRequest) -> Outcomes:
        """Some of the jobs asked for that are final, when there is enough to tell.

        Raises:
            JobNotFound: When one of them does not exist in this account.
        """
        view = self._commits.view
        wanted = await locate(view, account, request.jids)
        with self._watchers.watch({piece.place.batch for piece in wanted}) as watch:
            awaited = WaitSet(view, wanted, watch)
            if request.statuses:
                await self._until_shown(awaited, set(request.statuses), request.timeout_s)
            else:
                await self._until_worthwhile(awaited, request.timeout_s)
        return await self._outcomes(awaited.with_final(), payloads=request.payloads)

    async def _until_worthwhile(self, awaited: WaitSet, timeout_s: float) -> None:
        now = self._clock()
        deadline, gather_s = now + timeout_s, GATHER_S + GATHER_PIECE_S * awaited.pieces
        while True:
            await awaited.refresh()
            if awaited.final == awaited.total:
                return
            if awaited.final:
                deadline = min(deadline, self._clock() + gather_s)
            left = deadline - self._clock()
            if left <= 0 or self._watchers.closed or not await awaited.wait_for_change(left):
                return

    async def _until_shown(self, awaited: WaitSet, statuses: set[Status], timeout_s: float) -> None:
        """Wait until all jobs have one of these statuses, or one never will."""
        deadline = self._clock() + timeout_s
        while True:
            await awaited.refresh()
            lacking = [state for state in awaited.states if state.shown not in statuses]
            left = deadline - self._clock()
            if not lacking or any(state.final for state in lacking) or left <= 0:
                return
            if self._watchers.closed or not await awaited.wait_for_change(left):
                return

    async def _outcomes(self, wanted: Sequence[PageSlice], *, payloads: bool) -> Outcomes:
        gathered = _Gathered()
        for piece in wanted:
            page = await self._page(piece)
            refuse_deleted(page, piece)
            packs: dict[int, Pack] = {}
            for index in range(piece.start, piece.stop):
                state = page.state[index]
                if state < State.DONE:
                    continue
                number = page.pack[index]
                if (payloads or state != State.DONE) and number not in packs:
                    name = layout.results(piece.place, number)
                    packs[number] = Pack(await self._commits.view.get(name))
                gathered.add(piece.first + index, page, index, packs.get(number))
                if gathered.size > ANSWER_BYTES:
                    return gathered.answer()
        return gathered.answer()

    async def _page(self, piece: PageSlice) -> Page:
        page: Page = await self._commits.view.get(layout.page(piece.place))
        return page

    async def kill(self, account: str, asked: Sequence[Range] | None) -> Killed:
        """End jobs: at once those no slot holds, the others as soon as their slot hears of it.

        Args:
            account: Whose jobs.
            asked: Which; None for all unfinished ones.

        Returns:
            How many were not final before.

        Raises:
            JobNotFound: When one of them does not exist in this account.
            JobDeleted: When one of them was deleted; then none is ended.
        """
        view, count = self._commits.view, 0
        if asked is None:
            wanted = await self._unfinished(account)
        else:
            wanted = await locate(view, account, asked)
            async for piece, page in pages(view, wanted, fresh=False):
                refuse_deleted(page, piece)
        for some in by_page(wanted):
            count += sum(await asyncio.gather(*(self._kill_in(*chosen) for chosen in some)))
        return Killed(count=count)

    async def _kill_in(self, place: PageId, indexes: Sequence[int]) -> int:
        """End jobs of a page; how many were not final."""
        plan = partial(self._kill, place=place, indexes=indexes)
        ended, asked_to_end = await self._commits.run(plan)
        if asked_to_end:
            self._later(self._force(place, asked_to_end))
        return ended + len(asked_to_end)

    async def _unfinished(self, account: str) -> list[PageSlice]:
        markers = await self._commits.view.scan(layout.ready(account))
        spans = [(marker.first, marker.first + marker.count - 1) for marker in markers.values()]
        return [
            piece for span in spans for piece in await locate(self._commits.view, account, [span])
        ]

    async def _kill(
        self, draft: Draft, place: PageId, indexes: Sequence[int]
    ) -> tuple[int, list[tuple[int, int]]]:
        """How many jobs ended now, and the (index, attempt) of those whose slot must end them."""
        name = layout.page(place)
        page = await draft.get(name)
        chosen = [index for index in indexes if page.state[index] < State.DONE]
        held = [index for index in chosen if page.state[index] in UNDER_LEASE]
        free = [index for index in chosen if page.state[index] not in UNDER_LEASE]
        await self._end_killed(draft, place, free)
        own = await draft.edit(name) if held else None
        if own is not None:
            for index in held:
                own.flags[index] |= Flag.KILL_REQUESTED
            draft.emit(Event(EventKind.KILL, *place[:2]))
        return len(free), [(index, page.attempt[index]) for index in held]

    async def _end_killed(self, draft: Draft, place: PageId, indexes: Sequence[int]) -> None:
        now = self._clock()
        endings = [killed(index, 0.0, now) for index in indexes]
        await finish(draft, place, endings)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def stop(self) -> None:
        """Give up what was to be done later; a start finds the flags in the pages."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _force(self, place: PageId, attempts: Sequence[tuple[int, int]]) -> None:
        """End jobs whose slot did not say within two seconds that it ended them."""
        await asyncio.sleep(SILENT_S)

        async def plan(draft: Draft) -> None:
            page = await draft.get(layout.page(place))
            left = [
                index
                for index, attempt in attempts
                if page.state[index] < State.DONE and page.attempt[index] == attempt
            ]
            await self._end_killed(draft, place, left)

        await self._commits.run(plan)


class _Gathered:
    """Outcomes as they are put together."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._envelopes: list[Envelope] = []
        self._latest: Pack | None = None
        self._position = 0
        self.size = 0

    def add(self, jid: int, page: Page, index: int, pack: Pack | None) -> None:
        payload, blob, envelope = None, None, 0
        if pack is not None:
            envelope = self._note(pack)
            parcel = pack[page.item[index]]
            if page.flags[index] & Flag.SPILLED:
                blob = msgspec.msgpack.decode(parcel, type=Content)
            else:
                payload = parcel
            self.size += len(parcel)
        self.size += 24
        status = page.shown(index).value
        self._outcomes.append(
            Outcome(
                jid=jid,
                status=status,
                cause=page.cause[index],
                payload=payload,
                blob=blob,
                envelope=envelope,
            )
        )

    def _note(self, pack: Pack) -> int:
        """The position of a pack's envelope among those of the answer."""
        if pack is not self._latest:
            envelope = msgspec.msgpack.decode(pack[0], type=Envelope)
            if envelope not in self._envelopes:
                self._envelopes.append(envelope)
            self._latest, self._position = pack, self._envelopes.index(envelope)
        return self._position

    def answer(self) -> Outcomes:
        return Outcomes(outcomes=self._outcomes, envelopes=self._envelopes)
