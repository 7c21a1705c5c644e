"""Finishing: makes jobs final, each of them once, and publishes how they ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope, seal, unseal, write
from picloud_model.page import Flag
from picloud_model.ranges import collapse
from picloud_model.wire import Content, Failure, decode

from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Finished, Ready
from picloud_api.store.webhook_record import WebhookRecord, webhook_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.page import Page

    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header

SERVER_ENVELOPE: Final = Envelope("", "")
"""Envelope of failures that the platform wrote itself: they hold no pickle."""
_OVER_BUDGET: Final = "The job was killed because a budget was reached: see `picloud budget list`."


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How one job of a page ends. `payload` is its parcel, unless `blob` names that.

    `info` is what its slot reports besides, or names the blob of that; `printed` is false if there
    is no output in it.
    """

    index: int
    state: State
    cause: Cause
    payload: bytes
    started_at: float
    finished_at: float
    blob: Content | None = None
    info: Content | None = None
    printed: bool = True


def encode_failure(cause: Cause, message: str) -> bytes:
    """Return the parcel of a failure that the platform found itself."""
    return seal(msgspec.msgpack.encode(Failure(cause=int(cause), message=message)))


def read_failure(parcel: bytes | memoryview) -> Failure | None:
    """Return the failure in a parcel; None if it holds none, as the child of a job wrote it."""
    try:
        return decode(unseal(parcel), Failure)
    except (RequestRefused, msgspec.MsgspecError):
        return None


def killed_ending(index: int, started_at: float, now: float) -> Ending:
    """Return the ending of a job that its user killed."""
    return Ending(
        index=index,
        state=State.KILLED,
        cause=Cause.KILLED,
        payload=encode_failure(Cause.KILLED, "The job was killed by its user."),
        started_at=started_at,
        finished_at=now,
    )


def with_reason(ending: Ending, flags: int) -> Ending:
    """Return the ending of a killed job; if a budget killed it, with a failure that says so."""
    if not flags & Flag.OVER_BUDGET or ending.blob is not None:
        return ending
    failure = read_failure(ending.payload) or Failure(cause=Cause.KILLED, message="")
    payload = seal(msgspec.msgpack.encode(replace(failure, message=_OVER_BUDGET)))
    return replace(ending, payload=payload)


async def finish(
    draft: Draft,
    page_id: layout.PageId,
    endings: Sequence[Ending],
    envelope: Envelope = SERVER_ENVELOPE,
) -> None:
    """Make jobs of one page final, with their payloads in one result pack.

    The caller has checked the fence. The first parcel of a result pack is its envelope. If jobs
    left infos, the last parcel holds them by the positions of the results.
    """
    page = await draft.edit(layout.page(page_id)) if endings else None
    if page is None:
        return
    parcels = [msgspec.msgpack.encode(envelope)]
    infos: dict[int, Content] = {}
    previous = b""
    for each in endings:
        ending = each
        if each.state is State.KILLED:
            ending = with_reason(each, page.flags[each.index])
        # Jobs that the platform ends together share one failure.
        if ending.blob is not None or ending.payload is not previous:
            previous = msgspec.msgpack.encode(ending.blob) if ending.blob else ending.payload
            parcels.append(previous)
        item = len(parcels) - 1
        _end(page, ending, item)
        if ending.info is not None:
            infos[item] = ending.info
    if infos:
        parcels.append(msgspec.msgpack.encode(infos))
    await _publish(
        draft,
        page_id,
        page,
        parcels,
        are_done=all(ending.state is State.DONE for ending in endings),
        finished_at=max(ending.finished_at for ending in endings),
    )


async def finish_alike(
    draft: Draft, page_id: layout.PageId, indexes: Sequence[int], ending: Ending
) -> None:
    """Make jobs of one page end in the same way; the index of the ending is not used.

    Jobs in a row are changed together: a user may kill millions of jobs.
    """
    page = await draft.edit(layout.page(page_id)) if indexes else None
    if page is None:
        return
    values = {
        "cause": ending.cause,
        "started": ending.started_at,
        "finished": ending.finished_at,
        "pack": page.packs,
        "item": 1,
        "slot": 0,
    }
    for first, last in collapse(indexes):
        page.fill(first, last + 1, ending.state, **values)
    parcels = [msgspec.msgpack.encode(SERVER_ENVELOPE), ending.payload]
    await _publish(draft, page_id, page, parcels, are_done=False, finished_at=ending.finished_at)


async def _publish(
    draft: Draft,
    page_id: layout.PageId,
    page: Page,
    parcels: Sequence[bytes],
    *,
    are_done: bool,
    finished_at: float,
) -> None:
    """Write the result pack of jobs that have just ended in a page, and notify of them."""
    draft.create(layout.results(page_id, page.packs), write(parcels))
    page.packs += 1
    draft.emit(Event(EventKind.FINISHED, page_id.account, page_id.batch))
    if not are_done:
        draft.emit(Event(EventKind.FAILED, page_id.account, page_id.batch))
    if not page.open:
        await _close_page(draft, page_id, finished_at)


def _end(page: Page, ending: Ending, item: int) -> None:
    index = ending.index
    page.state[index] = ending.state
    page.cause[index] = ending.cause
    page.started[index] = ending.started_at
    page.finished[index] = ending.finished_at
    page.pack[index] = page.packs
    page.item[index] = item
    page.slot[index] = 0
    if ending.blob is not None:
        page.flags[index] |= Flag.SPILLED
    if ending.info is not None:
        page.flags[index] |= Flag.INFORMED if ending.printed else Flag.INFORMED | Flag.QUIET


async def _close_page(draft: Draft, page_id: layout.PageId, now: float) -> None:
    """Count a page off the ready marker; after the last page delete the marker."""
    name = layout.ready(page_id.account, page_id.batch)
    marker: Ready | None = await draft.get(name)
    if marker is None:
        return
    if marker.open_pages <= 1:
        draft.delete(name)
        waiting = layout.waiting(page_id.account, page_id.batch)
        if marker.waits and await draft.get(waiting) is not None:
            draft.delete(waiting)
        if draft.bounded:
            finished = layout.finished(page_id.account, page_id.batch)
            draft.create(finished, Finished(marker.pages, finished_at=now))
        if marker.notifies:
            await _notify(draft, page_id, now)
        return
    draft.put(name, replace(marker, open_pages=marker.open_pages - 1))


async def _notify(draft: Draft, page_id: layout.PageId, now: float) -> None:
    """Record that the end of a batch is to be posted to a URL."""
    account, batch = page_id.account, page_id.batch
    header: Header | None = await draft.get(layout.header(account, batch))
    if header is None or header.options.on_done is None:
        return
    record = WebhookRecord(
        url=header.options.on_done,
        first=header.first,
        count=header.count,
        label=header.options.label or "",
        ended_at=now,
    )
    draft.create(webhook_key(account, batch), record)
    draft.emit(Event(EventKind.ENDED, account, batch))
