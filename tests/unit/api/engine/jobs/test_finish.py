"""Finishing: jobs become final once, with their payloads in one result pack."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from picloud_api.engine.jobs.finish import (
    Ending,
    encode_failure,
    finish,
    killed_ending,
    read_failure,
)
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope, Pack, seal
from picloud_model.page import Flag
from picloud_model.wire import Content

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.store.layout import PageId
    from picloud_model.page import Page

    from tests.unit.api.api_harness import ApiHarness


def done(index: int, payload: bytes, info: Content | None = None) -> Ending:
    """Return the ending of a job that returned something."""
    return Ending(
        index=index,
        state=State.DONE,
        cause=Cause.NONE,
        payload=payload,
        started_at=1.0,
        finished_at=2.0,
        info=info,
    )


async def batch(api: ApiHarness, count: int) -> PageId:
    """Submit a batch of one page and return the id of that."""
    await api.submit(count)
    (key,) = await api.server.ports.state.scan("pages/")
    page_id = layout.page_of(key.key)
    assert page_id is not None
    return page_id


async def finished(api: ApiHarness, page_id: PageId, endings: list[Ending]) -> list[Event]:
    """Finish jobs and return the events of that."""
    events: list[Event] = []
    api.server.context.commits.listen(events.append)
    await api.server.context.commits.run(
        partial(finish, page_id=page_id, endings=endings, envelope=Envelope("3.11", "3.1.0"))
    )
    return events


async def test_payloads_are_read_by_pack_and_item(api: ApiHarness) -> None:
    """The first parcel of a result pack is its envelope, the last one holds infos, if any."""
    page_id = await batch(api, 3)
    view = api.server.context.commits.view
    info = Content("", 4, b"info")

    await finished(api, page_id, [done(0, b"zero"), done(2, b"two", info)])

    page: Page = await view.get(layout.page(page_id))
    pack = Pack(await view.get(layout.results(page_id, 0)))
    assert [State(state) for state in page.state] == [State.DONE, State.QUEUED, State.DONE]
    assert [pack[page.item[index]] for index in (0, 2)] == [b"zero", b"two"]
    assert msgspec.msgpack.decode(pack[0], type=Envelope) == Envelope("3.11", "3.1.0")
    infos = msgspec.msgpack.decode(pack[len(pack) - 1], type=dict[int, Content])
    assert infos == {page.item[2]: info}
    assert page.flags[2] & Flag.INFORMED
    assert page.packs == 1


async def test_jobs_that_end_together_share_one_parcel(api: ApiHarness) -> None:
    """A thousand jobs that the platform ends for one reason store that once."""
    page_id = await batch(api, 3)
    failure = encode_failure(Cause.DEPENDENCY, "so it is")

    endings = [msgspec.structs.replace(done(index, failure)) for index in range(3)]
    await finished(api, page_id, endings)

    pack = Pack(await api.server.context.commits.view.get(layout.results(page_id, 0)))
    assert len(pack) == 2


async def test_the_last_job_removes_the_ready_marker(api: ApiHarness) -> None:
    """As long as one job is unfinished the batch counts as ready."""
    page_id = await batch(api, 2)
    view = api.server.context.commits.view

    first = await finished(api, page_id, [done(0, b"x")])
    assert await view.get(layout.ready(ACCOUNT, page_id.batch)) is not None
    await finished(api, page_id, [killed_ending(1, 0.0, 3.0)])

    assert await view.get(layout.ready(ACCOUNT, page_id.batch)) is None
    assert [event.kind for event in first][:1] == [EventKind.FINISHED]


async def test_failures_have_an_event_of_their_own(api: ApiHarness) -> None:
    """Only these can stall the jobs that depend on one of them."""
    page_id = await batch(api, 2)

    good = await finished(api, page_id, [done(0, b"x")])
    kinds = [event.kind for event in good]
    bad = await finished(api, page_id, [killed_ending(1, 0.0, 3.0)])

    assert EventKind.FAILED not in kinds
    assert EventKind.FAILED in [event.kind for event in bad]


def test_a_failure_is_read_as_it_was_written() -> None:
    """What is not a failure is None: a child may write anything."""
    failure = read_failure(encode_failure(Cause.KILLED, "why"))

    assert failure is not None
    assert (failure.cause, failure.message) == (Cause.KILLED, "why")
    assert read_failure(b"") is None
    assert read_failure(seal(b"no failure")) is None
