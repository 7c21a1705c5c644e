"""Releasing: the jobs of a batch are queued, or stalled with a failure that names the cause."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.engine.dependencies.release import release_or_stall, stalled_by
from picloud_api.engine.jobs.finish import encode_failure, read_failure
from picloud_api.engine.jobs.locate import PageSlice
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind
from picloud_model.job import Cause, State

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.engine.process.ready_queue import ReadyBatch
    from picloud_api.store.draft import Draft
    from picloud_api.store.layout import PageId
    from picloud_model.page import Page

    from tests.unit.api.api_harness import ApiHarness


async def waiting_batch(api: ApiHarness) -> PageId:
    """Submit a batch of two jobs that waits, and return the id of its page."""
    (first,) = await api.submit(1)
    request = msgspec.structs.replace(api.request(2), depends_on=[(first, first)])
    await api.send(request)
    return layout.PageId(ACCOUNT, request.submit_id, 0)


async def end_wait(
    api: ApiHarness, page_id: PageId, failure: bytes | None, *, last: bool = True
) -> list[Event]:
    """End the wait of a page; return the events of that."""
    events: list[Event] = []
    api.server.context.commits.listen(events.append)

    async def lease(_: Draft, __: ReadyBatch) -> int:
        return 0

    plan = partial(
        release_or_stall, page_ids=[page_id], failure=failure, now=5.0, last=last, lease=lease
    )
    await api.server.context.commits.run(plan)
    return events


async def states(api: ApiHarness, page_id: PageId) -> set[State]:
    """Return the states of the jobs of a page."""
    page: Page = await api.server.context.commits.view.get(layout.page(page_id))
    return {State(state) for state in page.state}


async def test_released_jobs_are_queued(api: ApiHarness) -> None:
    """The batch has jobs to lease now, and its record is deleted."""
    page_id = await waiting_batch(api)

    events = await end_wait(api, page_id, None)

    assert await states(api, page_id) == {State.QUEUED}
    assert EventKind.READY in [event.kind for event in events]
    view = api.server.context.commits.view
    assert await view.get(layout.waiting(ACCOUNT, page_id.batch)) is None


async def test_stalled_jobs_are_final(api: ApiHarness) -> None:
    """They have the failure as their outcome, and never become ready."""
    page_id = await waiting_batch(api)

    events = await end_wait(api, page_id, encode_failure(Cause.DEPENDENCY, "because"))

    assert await states(api, page_id) == {State.STALLED}
    kinds = [event.kind for event in events]
    assert EventKind.READY not in kinds
    assert EventKind.FAILED in kinds


async def test_a_batch_waits_until_its_last_pages(api: ApiHarness) -> None:
    """A server that ends in between finds the record, and goes on."""
    page_id = await waiting_batch(api)

    await end_wait(api, page_id, None, last=False)

    view = api.server.context.commits.view
    assert await view.get(layout.waiting(ACCOUNT, page_id.batch)) is not None


async def test_a_release_that_another_process_made_changes_nothing(api: ApiHarness) -> None:
    """The slower process must not stall what the faster one has released."""
    page_id = await waiting_batch(api)
    await end_wait(api, page_id, None)

    events = await end_wait(api, page_id, encode_failure(Cause.DEPENDENCY, "too late"))

    assert await states(api, page_id) == {State.QUEUED}
    assert events == []


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (State.KILLED, "dependency failed: job 1, which this one depends on, was killed"),
        (State.STALLED, "dependency failed: job 1, which this one depends on, is stalled"),
    ],
)
async def test_a_failure_names_the_job_that_caused_it(
    api: ApiHarness, state: State, words: str
) -> None:
    """The user sees which of the jobs it was and how that ended."""
    await api.submit(1)
    view = api.server.context.commits.view
    (span,) = await view.get(layout.block(ACCOUNT, 1))
    page_id = layout.PageId(ACCOUNT, span.batch, 0)
    page = (await view.get(layout.page(page_id))).copy()
    page.state[0] = state

    verdict = await stalled_by(view, PageSlice(page_id, 0, 1, 1), page, 0)

    failure = read_failure(verdict.failure or b"")
    assert failure is not None
    assert failure.cause == Cause.DEPENDENCY
    assert failure.message == words
