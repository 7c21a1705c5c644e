"""Releasing: ends the wait of a batch. Its jobs are queued, or stalled for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.job import Cause, State
from picloud_model.pack import Pack
from picloud_model.page import Flag

from picloud_api.engine.jobs.finish import Ending, encode_failure, finish_alike, read_failure
from picloud_api.engine.process.ready_queue import ReadyBatch
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from picloud_model.page import Page

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Ready
    from picloud_api.store.view import View

    LeaseReleased = Callable[[Draft, ReadyBatch], Awaitable[int]]
    """Leases jobs of a batch that a draft has queued, if a slot waits; returns how many."""

_WAITING: Final = bytes([State.WAITING])
_QUEUED: Final = bytes([State.QUEUED])
_MESSAGE_CHARACTERS: Final = 300
"""How much of a failure's message the failures of its dependents repeat."""
_FAILED: Final = f"{Cause.DEPENDENCY.phrase}: "
_DEPENDS: Final = ", which this one depends on, "
_STALLED_BY: Final = "is stalled: "


class Verdict(msgspec.Struct, frozen=True):
    """What happens to jobs that waited: stalled with `failure`, or released if that is None."""

    failure: bytes | None = None


RELEASED: Final = Verdict()
"""They may begin."""


async def stalled_by(view: View, piece: PageSlice, page: Page, index: int) -> Verdict:
    """Return the verdict on the jobs that depend on a failed job of a page."""
    how = {
        State.ERROR: f"ended in error ({Cause(page.cause[index]).phrase})",
        State.KILLED: "was killed",
        State.STALLED: "is stalled",
    }[State(page.state[index])]
    reason = await _message_of(view, piece, page, index)
    if page.state[index] == State.STALLED:
        reason = _first_failure(reason)
    reason = f": {reason[:_MESSAGE_CHARACTERS]}" if reason else ""
    message = f"{_FAILED}job {piece.first + index}{_DEPENDS}{how}{reason}"
    return Verdict(encode_failure(Cause.DEPENDENCY, message))


async def _message_of(view: View, piece: PageSlice, page: Page, index: int) -> str:
    """Return why a job of a page failed, if it is known."""
    if page.state[index] == State.KILLED or page.flags[index] & Flag.SPILLED:
        return ""
    pack = await view.get(layout.results(piece.page_id, page.pack[index]))
    failure = None if pack is None else read_failure(Pack(pack)[page.item[index]])
    return failure.message if failure else ""


def _first_failure(message: str) -> str:
    """Return what stalled a job, however many others are between, from the message of its failure.

    >>> _first_failure("dependency failed: job 1, which this one depends on, was killed")
    'job 1 was killed'
    >>> _first_failure(
    ...     "dependency failed: job 2, which this one depends on, is stalled: job 1 was killed"
    ... )
    'job 1 was killed'
    """
    job, _, how = message.removeprefix(_FAILED).partition(_DEPENDS)
    return how.removeprefix(_STALLED_BY) if how.startswith(_STALLED_BY) else f"{job} {how}".strip()


async def release_or_stall(
    draft: Draft,
    *,
    page_ids: Sequence[layout.PageId],
    failure: bytes | None,
    now: float,
    last: bool,
    lease: LeaseReleased,
) -> None:
    """End the wait of some pages of a batch; with the `last` ones its `Waiting` record is deleted.

    Its jobs are stalled with `failure`, or queued if that is None. What a slot waits for is leased
    in the same transaction.
    """
    account, batch, _ = page_ids[0]
    name = layout.waiting(account, batch)
    if await draft.get(name) is None:
        return  # another process did it, or its user killed all of it
    for page_id in page_ids:
        page: Page = await draft.get(layout.page(page_id))
        if State.WAITING not in page.state:
            continue
        if failure is None:
            await _queue(draft, page_id)
        else:
            await finish_alike(draft, page_id, _waiting(page), _stalled(failure, now))
    if last:
        draft.delete(name)
        if failure is None:
            ready: Ready | None = await draft.get(layout.ready(account, batch))
            queued = None if ready is None else ReadyBatch(account, batch, ready)
            if queued is None or await lease(draft, queued) < queued.count:
                draft.emit(Event(EventKind.READY, account, batch))


async def _queue(draft: Draft, page_id: layout.PageId) -> None:
    page = await draft.edit(layout.page(page_id))
    if page is not None:
        page.state = page.state.replace(_WAITING, _QUEUED)


def _waiting(page: Page) -> Sequence[int]:
    if page.state.count(State.WAITING) == len(page):
        return range(len(page))
    return [index for index, state in enumerate(page.state) if state == State.WAITING]


def _stalled(failure: bytes, now: float) -> Ending:
    return Ending(
        index=0,
        state=State.STALLED,
        cause=Cause.DEPENDENCY,
        payload=failure,
        started_at=0.0,
        finished_at=now,
    )
