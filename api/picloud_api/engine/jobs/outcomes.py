"""Outcomes of jobs: put together for one reply, and encoded, in slices of the event loop."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from picloud_model.job import State
from picloud_model.pack import INLINE_BYTES, Envelope, Pack
from picloud_model.page import Flag
from picloud_model.wire import Content, Outcome, Outcomes

from picloud_api.engine.jobs.envelopes import EnvelopeTable
from picloud_api.engine.jobs.locate import PageSlice, refuse_deleted
from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_model.page import Page

    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.view import View

ANSWER_BYTES: Final = 4 * 1024 * 1024
"""Results in one reply, about; the client requests the rest."""
ANSWER_JOBS: Final = 5_000
"""Outcomes with results in one reply: small ones are in memory as long as it is put together, too.

Outcomes without results are one reply for any usual number of jobs: scripts rely on one round trip.
"""
OUTCOME_BYTES: Final = 200
"""Memory that an outcome takes besides its result, encoded and not."""
IN_A_ROW: Final = 40
"""Outcomes that are put together before the event loop may go on: they take half a slice."""
_PRINTED: Final = Flag.INFORMED | Flag.QUIET
_DONE: Final = int(State.DONE)
_STATUS: Final = tuple(state.shown.value for state in State)
"""The status that users see, by state: an attribute of an enumeration takes longer."""
_SIZE: Final = 24
"""Bytes of an outcome in a reply, besides its result."""


def _memory(size: int, count: int) -> int:
    """Return about how much memory outcomes take: the results are in memory, and in the reply."""
    return 2 * size + count * OUTCOME_BYTES


class Held(Protocol):
    """What counts bytes in memory for as long as it is referred to."""

    def keep(self, size: int) -> None:
        """Count so many bytes from now on, which are fewer."""


class FinalOutcomes:
    """The outcomes of one reply, or of several replies with the same content."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.outcomes: list[Outcome] = []
        self.size = 0
        self._table = EnvelopeTable()
        self._latest: Pack | None = None
        self._position = 0
        self._encoded: dict[str, bytes] = {}
        self._encoding = asyncio.Lock()
        self._held: Held | None = None

    async def read(
        self,
        view: View,
        pieces: Sequence[PageSlice],
        most: int,
        hold: Callable[[int], Awaitable[Held]],
        *,
        payloads: bool,
    ) -> None:
        """Add the outcomes of those jobs that are final, until they are enough for a reply.

        Args:
            view: Where they are read.
            pieces: The jobs.
            most: How many of them are final.
            hold: Counts bytes in memory, before there are so many.
            payloads: Whether to read the results of jobs that are done.

        Raises:
            JobDeleted: When one of the jobs was deleted.
        """
        results = min(most * INLINE_BYTES, ANSWER_BYTES + INLINE_BYTES)
        at_once = ANSWER_JOBS if payloads else ANSWER_BYTES // _SIZE
        held = await hold(_memory(results, min(most, at_once)))
        async with self._turn as turn:
            for piece in pieces:
                page: Page = await view.get(layout.page(piece.page_id))
                refuse_deleted(page, piece)
                if await self._read_page(view, piece, page, payloads=payloads):
                    break
                await turn.pause()
        held.keep(_memory(self.size, len(self.outcomes)))
        self._held = held

    async def _read_page(self, view: View, piece: PageSlice, page: Page, *, payloads: bool) -> bool:
        """Add the outcomes of a page; return whether they are enough for a reply."""
        packs: dict[int, Pack] = {}
        states, numbers = page.state, page.pack
        since = len(self.outcomes)
        room = ANSWER_JOBS if payloads else sys.maxsize
        for index in range(piece.start, piece.stop):
            state = states[index]
            if state < _DONE:
                continue
            pack: Pack | None = None
            if payloads or state != _DONE:
                number = numbers[index]
                pack = packs.get(number)
                if pack is None:
                    pack = Pack(await view.get(layout.results(piece.page_id, number)))
                    packs[number] = pack
            self._add(piece.first + index, page, index, pack)
            count = len(self.outcomes)
            if self.size > ANSWER_BYTES or count >= room:
                return True
            if count - since >= IN_A_ROW:
                since = count
                await self._turn.pause()
        return False

    def _add(self, jid: int, page: Page, index: int, pack: Pack | None) -> None:
        payload, blob, envelope, flags = None, None, 0, page.flags[index]
        if pack is not None:
            envelope = self._position if pack is self._latest else self._envelope_of(pack)
            parcel = pack[page.item[index]]
            if flags & Flag.SPILLED:
                blob = msgspec.msgpack.decode(parcel, type=Content)
            else:
                payload = parcel
            self.size += len(parcel)
        self.size += _SIZE
        self.outcomes.append(
            Outcome(
                jid=jid,
                status=_STATUS[page.state[index]],
                cause=page.cause[index],
                payload=payload,
                blob=blob,
                envelope=envelope,
                printed=flags & _PRINTED == Flag.INFORMED,
            )
        )

    def _envelope_of(self, pack: Pack) -> int:
        """Return the position of a pack's envelope among those of the reply."""
        envelope = msgspec.msgpack.decode(pack[0], type=Envelope)
        self._latest, self._position = pack, self._table.position(envelope)
        return self._position

    async def encoded(self, media: str) -> bytes:
        """Return the body of the reply; it is encoded once for each format."""
        async with self._encoding:
            body = self._encoded.get(media)
            if body is None:
                body = self._encoded[media] = await self._encode(media)
            return body

    async def _encode(self, media: str) -> bytes:
        outcomes = Outcomes(outcomes=self.outcomes, envelopes=self._table.envelopes)
        return await self._turn.encode(outcomes, "outcomes", media)
