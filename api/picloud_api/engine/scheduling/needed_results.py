"""Needed results: those of the jobs that a batch depends on, which a lease of it brings along.

A job whose arguments name them would send a request for them before it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PiCloudError
from picloud_model.job import State, Status
from picloud_model.pack import Envelope, Pack
from picloud_model.page import Flag
from picloud_model.wire import Outcome, Outcomes

from picloud_api.engine.jobs.envelopes import EnvelopeTable
from picloud_api.engine.jobs.locate import locate
from picloud_api.store import layout

if TYPE_CHECKING:
    from picloud_model.page import Page

    from picloud_api.engine.jobs.locate import PageSlice
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Header
    from picloud_api.store.view import View

MOST_JOBS: Final = 32
"""Maximum number of jobs whose results are brought along."""
MOST_BYTES: Final = 16 * 1024
"""Maximum number of bytes of these: a job that does not need them receives them, too."""


async def needed_results(view: View, draft: Draft, account: str, header: Header) -> Outcomes | None:
    """Return the results of the jobs that a batch depends on, if they are few, small and in memory.

    None if there are none, or if any of them is missing: then the jobs ask for all of them.
    """
    spans = header.depends_on
    if not spans or sum(last - first + 1 for first, last in spans) > MOST_JOBS:
        return None
    try:
        pieces = await locate(view, account, spans)
    except PiCloudError:
        return None  # the request of the job says why
    outcomes: list[Outcome] = []
    table = EnvelopeTable()
    size = 0
    for piece in pieces:
        for at in range(piece.start, piece.stop):
            outcome = _outcome(draft, piece, at, table)
            if outcome is None or outcome.payload is None:
                return None
            size += len(outcome.payload)
            if size > MOST_BYTES:
                return None
            outcomes.append(outcome)
    return Outcomes(outcomes=outcomes, envelopes=table.envelopes)


def _outcome(draft: Draft, piece: PageSlice, at: int, table: EnvelopeTable) -> Outcome | None:
    """Return the outcome of a job that is done and has a small result in memory."""
    page: Page | None = draft.peek(layout.page(piece.page_id))
    if page is None or page.state[at] != State.DONE:
        return None
    if page.flags[at] & (Flag.DELETED | Flag.SPILLED):
        return None
    data: bytes | None = draft.peek(layout.results(piece.page_id, page.pack[at]))
    if data is None:
        return None
    pack = Pack(data)
    envelope = table.position(msgspec.msgpack.decode(pack[0], type=Envelope))
    jid = piece.first + at
    payload = pack[page.item[at]]
    return Outcome(jid=jid, status=Status.DONE, payload=payload, envelope=envelope)
