"""`status`: the status of each job, as its user sees it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from picloud_model.errors import JobDeleted, JobNotFound
from picloud_model.job import State
from picloud_model.wire import Statuses, StatusRun

from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.engine.process.context import Context

_PAGES_TOGETHER: Final = 20
"""Pages that are read before the event loop may go on."""
_HELD_TOGETHER: Final = 500
_RUN_BYTES: Final = 200
"""Memory that a run takes, encoded and not."""
_SHOWN_ALIKE: Final = {state: min(s for s in State if s.shown is state.shown) for state in State}
_ALIKE: Final = bytes.maketrans(bytes(_SHOWN_ALIKE), bytes(_SHOWN_ALIKE.values()))
"""For each state the first one that is shown as the same status."""
_SHOWN: Final = tuple(state.shown.value for state in State)
"""The status that a user sees, by the number of a state."""
_STRETCH: Final = re.compile(rb"(.)\1*", re.DOTALL)
"""One byte or several equal ones."""


async def _count_nothing(size: int) -> None:
    """Count nothing: the statuses are not kept for a reply."""


class JobStatuses:
    """Returns the statuses of jobs."""

    def __init__(self, context: Context) -> None:
        self._view = context.commits.view
        self._turns = context.turns

    async def status(
        self,
        account: str,
        jids: Sequence[Range],
        hold: Callable[[int], Awaitable[object]] = _count_nothing,
    ) -> Statuses:
        """Return the status of each job, as runs in the order of the request.

        Args:
            account: The account that owns the jobs.
            jids: The jobs.
            hold: Counts bytes that the reply takes in memory; by default nothing does.

        Raises:
            JobNotFound: When one of the jobs does not exist in this account.
            JobDeleted: When one of them was deleted.
        """
        runs: list[StatusRun] = []
        held = 0
        async with self._turns.of(account) as turn:
            pieces = await locate(self._view, account, jids, turn)
            async for piece, page in read_pages(
                self._view, pieces, at_once=_PAGES_TOGETHER, turn=turn
            ):
                refuse_deleted(page, piece)
                _add_runs(runs, piece, page)
                if len(runs) - held > _HELD_TOGETHER:
                    await hold((len(runs) - held) * _RUN_BYTES)
                    held = len(runs)
                await turn.pause()
        return Statuses(runs=runs)

    async def of_one(self, account: str, jid: int) -> str:
        """Return the status of one job; "" if it does not exist any longer."""
        return (await self.of_each(account, [jid])).get(jid, "")

    async def of_each(self, account: str, jids: Iterable[int]) -> dict[int, str]:
        """Return the statuses of jobs by jid, without those that do not exist any longer."""
        found: dict[int, str] = {}
        pieces: list[PageSlice] = []
        async with self._turns.of(account) as turn:
            for jid in sorted(set(jids)):
                with suppress(JobNotFound):
                    pieces += await locate(self._view, account, [(jid, jid)])
                await turn.pause()
            async for piece, page in read_pages(self._view, pieces, at_once=_PAGES_TOGETHER):
                with suppress(JobDeleted):
                    refuse_deleted(page, piece)
                    state = State(page.state[piece.start])
                    found[piece.first + piece.start] = state.shown.value
                await turn.pause()
        return found


def _add_runs(runs: list[StatusRun], piece: PageSlice, page: Page) -> None:
    at = piece.first + piece.start
    states = page.state[piece.start : piece.stop].translate(_ALIKE)
    added = [
        StatusRun(at + start, at + stop - 1, _SHOWN[states[start]])
        for start, stop in _stretches(states)
    ]
    last, first = runs[-1] if runs else None, added[0]
    if last is not None and last.status == first.status and last.last == at - 1:
        runs[-1] = StatusRun(last.first, first.last, first.status)
        del added[0]
    runs += added


def _stretches(states: bytes | bytearray) -> Iterable[Range]:
    r"""Return the start and the stop of each stretch of equal states.

    Not by `groupby`, which makes an object of each state: 1,000 equal ones took 200 us.

    >>> list(_stretches(b"\0\0\0\1\0"))
    [(0, 3), (3, 4), (4, 5)]
    """
    if states.count(states[0]) == len(states):
        return [(0, len(states))]
    return map(re.Match.span, _STRETCH.finditer(states))
