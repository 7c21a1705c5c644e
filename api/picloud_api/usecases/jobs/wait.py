"""`wait`: a long poll for jobs that are final, with their outcomes."""

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
from picloud_api.usecases.jobs.envelopes import EnvelopeTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.job import Status
    from picloud_model.page import Page
    from picloud_model.wire import WaitRequest

    from picloud_api.engine.process.context import Context

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""Results in one reply, about; the client requests the rest."""
GATHER_S: Final = 0.15
"""How long the first results wait for more, so that a big map takes few requests."""
GATHER_PIECE_S: Final = 50e-6
"""How much longer for each page or small batch in the request: reading one takes that long."""


class WaitForJobs:
    """Waits for jobs and returns their outcomes."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._watchers = context.batch_watchers
        self._clock = context.clock

    async def wait(self, account: str, request: WaitRequest) -> Outcomes:
        """Return the outcomes of jobs that are final, once there are enough of them.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
        """
        view = self._commits.view
        pieces = await locate(view, account, request.jids)
        with self._watchers.watch({piece.page_id.batch for piece in pieces}) as watch:
            wait_set = WaitSet(view, pieces, watch)
            if request.statuses:
                await self._until_shown(wait_set, set(request.statuses), request.timeout_s)
            else:
                await self._until_worthwhile(wait_set, request.timeout_s)
        return await self._outcomes(wait_set.with_final(), payloads=request.payloads)

    async def _until_worthwhile(self, wait_set: WaitSet, timeout_s: float) -> None:
        """Wait until all jobs are final, or some are and no more came for a moment."""
        now = self._clock()
        deadline, gather_s = now + timeout_s, GATHER_S + GATHER_PIECE_S * wait_set.pieces
        while True:
            await wait_set.refresh()
            if wait_set.final == wait_set.total:
                return
            if wait_set.final:
                deadline = min(deadline, self._clock() + gather_s)
            remaining_s = deadline - self._clock()
            if remaining_s <= 0 or self._watchers.closed:
                return
            if not await wait_set.wait_for_change(remaining_s):
                return

    async def _until_shown(
        self, wait_set: WaitSet, statuses: set[Status], timeout_s: float
    ) -> None:
        """Wait until all jobs have one of these statuses, or one of them never will."""
        deadline = self._clock() + timeout_s
        while True:
            await wait_set.refresh()
            others = [state for state in wait_set.states if state.shown not in statuses]
            remaining_s = deadline - self._clock()
            if not others or any(state.final for state in others) or remaining_s <= 0:
                return
            if self._watchers.closed or not await wait_set.wait_for_change(remaining_s):
                return

    async def _outcomes(self, pieces: Sequence[PageSlice], *, payloads: bool) -> Outcomes:
        reply = _OutcomesReply()
        for piece in pieces:
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
                reply.add(piece.first + index, page, index, packs.get(number))
                if reply.size > ANSWER_BYTES:
                    return reply.outcomes()
        return reply.outcomes()

    async def _page(self, piece: PageSlice) -> Page:
        page: Page = await self._commits.view.get(layout.page(piece.page_id))
        return page


class _OutcomesReply:
    """The outcomes of a reply, while it is put together."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._envelopes = EnvelopeTable()
        self._latest: Pack | None = None
        self._position = 0
        self.size = 0

    def add(self, jid: int, page: Page, index: int, pack: Pack | None) -> None:
        payload, blob, envelope = None, None, 0
        if pack is not None:
            envelope = self._envelope_of(pack)
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

    def _envelope_of(self, pack: Pack) -> int:
        """Return the position of a pack's envelope among those of the reply."""
        if pack is not self._latest:
            envelope = msgspec.msgpack.decode(pack[0], type=Envelope)
            self._latest, self._position = pack, self._envelopes.position(envelope)
        return self._position

    def outcomes(self) -> Outcomes:
        return Outcomes(outcomes=self._outcomes, envelopes=self._envelopes.envelopes)
