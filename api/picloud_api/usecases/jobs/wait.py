"""`wait`: a long poll for jobs that are final, with what they ended with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.job import State
from picloud_model.pack import Envelope, Pack
from picloud_model.page import Flag
from picloud_model.wire import Content, Outcome, Outcomes

from picloud_api.engine.jobs.locate import PageSlice, locate, refuse_deleted
from picloud_api.engine.jobs.wait_set import WaitSet
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.job import Status
    from picloud_model.page import Page
    from picloud_model.wire import WaitRequest

    from picloud_api.engine.process.context import Context

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""Results in one answer, about; the client asks again for more."""
GATHER_S: Final = 0.15
"""How long some results wait for more of them, so that a big map takes few requests."""
GATHER_PIECE_S: Final = 50e-6
"""How much longer for each page or small batch asked for, as each takes that long to look at."""


class WaitForJobs:
    """Waits for jobs and returns their outcomes."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._watchers = context.batch_watchers
        self._clock = context.clock

    async def wait(self, account: str, request: WaitRequest) -> Outcomes:
        """Return outcomes of jobs that are final, as soon as there are enough of them.

        Raises:
            JobNotFound: When one of them does not exist in this account.
        """
        view = self._commits.view
        wanted = await locate(view, account, request.jids)
        with self._watchers.watch({piece.page_id.batch for piece in wanted}) as watch:
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
                    name = layout.results(piece.page_id, number)
                    packs[number] = Pack(await self._commits.view.get(name))
                gathered.add(piece.first + index, page, index, packs.get(number))
                if gathered.size > ANSWER_BYTES:
                    return gathered.answer()
        return gathered.answer()

    async def _page(self, piece: PageSlice) -> Page:
        page: Page = await self._commits.view.get(layout.page(piece.page_id))
        return page


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
