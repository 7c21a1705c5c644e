"""The wait set: the jobs that a request waits for, and which of them are final.

A request is woken at each change, up to ten thousand times. So it only reads the batches that have
changed again, and no page whose jobs are all final: final states do not change.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import compress
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.job import FINAL, State

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.batch_watch import Watch
    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.view import View

_FINAL_BYTES: Final = bytes(FINAL)
_PAGES_IN_A_ROW: Final = 20
"""Page slices that are read before the event loop may go on."""


class _Unfinished(NamedTuple):
    """Page slices of a batch with unfinished jobs, by position, and what was seen in them."""

    positions: Sequence[int]
    final: int = 0
    states: frozenset[int] = frozenset()


class WaitSet:
    """The jobs that a request waits for, and their states when it last looked.

    Args:
        view: Where their pages are read.
        wanted: Their page slices.
        watch: The watch of their batches.
    """

    def __init__(self, view: View, wanted: Sequence[PageSlice], watch: Watch) -> None:
        self._view = view
        self._watch = watch
        self._wanted = wanted
        self._unfinished = _by_batch(wanted)
        self._states: set[int] = set()
        self._some_final = bytearray(len(wanted))
        self.pieces = len(wanted)
        self.total = sum(piece.stop - piece.start for piece in wanted)
        self.final = 0
        """How many were final at the last look."""

    @property
    def states(self) -> set[State]:
        """The states that they had at the last look."""
        unfinished = (batch.states for batch in self._unfinished.values())
        return {State(each) for each in self._states.union(*unfinished)}

    def with_final(self) -> list[PageSlice]:
        """Return the page slices with a final job, in the order of the request."""
        return list(compress(self._wanted, self._some_final))

    async def refresh(self, turn: Turn) -> None:
        """Read what has changed since the last look; everything, the first time."""
        async with turn:
            for batch in self._watch.changed():
                if batch in self._unfinished:
                    await self._read(batch, turn)

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Wait until something has changed; return whether it has within `timeout_s`."""
        return await self._watch.wait_for_change(timeout_s)

    async def _read(self, batch: str, turn: Turn) -> None:
        before = self._unfinished.pop(batch)
        open_positions: list[int] = []
        final, states = 0, set[int]()
        for number, position in enumerate(before.positions, 1):
            if number % _PAGES_IN_A_ROW == 0:
                await turn.pause()
            piece = self._wanted[position]
            page: Page = await self._view.get(layout.page(piece.page_id))
            part = page.state[piece.start : piece.stop]
            ended = sum(map(part.count, _FINAL_BYTES))
            self.final += ended
            self._some_final[position] = ended > 0
            if ended == len(part):
                self._states.update(part)
            else:
                open_positions.append(position)
                final += ended
                states.update(part)
        self.final -= before.final
        if open_positions:
            self._unfinished[batch] = _Unfinished(open_positions, final, frozenset(states))


def _by_batch(wanted: Sequence[PageSlice]) -> dict[str, _Unfinished]:
    by_batch: defaultdict[str, list[int]] = defaultdict(list)
    for position, piece in enumerate(wanted):
        by_batch[piece.page_id.batch].append(position)
    return {batch: _Unfinished(positions) for batch, positions in by_batch.items()}
