"""Prerequisites: which job is watched, and how the end of jobs decides them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.dependencies.prerequisite import (
    Prerequisite,
    Watches,
    evaluate,
    failed_jids,
    failure_among,
)
from picloud_api.engine.dependencies.release import RELEASED
from picloud_api.engine.process.turns import Turns
from picloud_api.store import layout
from picloud_api.store.records import Waiting

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def prerequisite(*jids: tuple[int, int], ignore: bool = False) -> Prerequisite:
    """Return the prerequisite of batches that depend on some jobs."""
    return Prerequisite(ACCOUNT, Waiting(list(jids), ignore=ignore))


async def run_one(api: ApiHarness) -> None:
    """Let a slot run the next job, which returns."""
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease)], lease=False)
    await api.use_cases.slots.slots.remove(slot.number)


async def page_ids(api: ApiHarness, count: int) -> list[layout.PageId]:
    """Submit batches of one job and return the ids of their pages, by jid."""
    view = api.server.context.commits.view
    found = []
    for _ in range(count):
        (jid,) = await api.submit(1)
        (span,) = [each for each in await view.get(layout.block(ACCOUNT, jid)) if each.first == jid]
        found.append(layout.PageId(ACCOUNT, span.batch, 0))
    return found


async def test_the_first_unfinished_job_is_watched(api: ApiHarness) -> None:
    """Until it has ended no other job needs to be read; then the next unfinished one is."""
    first, second = await page_ids(api, 2)
    view, watches = api.server.context.commits.view, Watches()
    both = prerequisite((1, 2))

    assert await evaluate(view, watches, both, Turns().of(ACCOUNT)) is None
    assert both.watched == (first, 0)
    await run_one(api)
    assert await watches.ended(view, first.batch) == {both}
    assert await evaluate(view, watches, both, Turns().of(ACCOUNT)) is None

    assert both.watched == (second, 0)
    assert first.batch not in watches
    assert second.batch in watches


async def test_jobs_that_are_done_release(api: ApiHarness) -> None:
    """A prerequisite whose jobs have all ended well is decided at once."""
    await page_ids(api, 1)
    await run_one(api)

    view = api.server.context.commits.view
    turn = Turns().of(ACCOUNT)
    verdict = await evaluate(view, Watches(), prerequisite((1, 1)), turn)

    assert verdict is RELEASED


@pytest.mark.parametrize("ignore", [False, True])
async def test_a_failed_job_stalls_unless_failures_are_ignored(
    api: ApiHarness, ignore: bool
) -> None:
    """The verdict holds the failure; where failures are ignored, the next job is watched."""
    await page_ids(api, 2)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])
    view = api.server.context.commits.view

    verdict = await evaluate(
        view, Watches(), prerequisite((1, 2), ignore=ignore), Turns().of(ACCOUNT)
    )

    assert (verdict is None) if ignore else (verdict is not None and verdict.failure is not None)


async def test_failures_are_found_wherever_they_are(api: ApiHarness) -> None:
    """One failed job of a map decides, though jobs before it have not ended."""
    jids = await api.submit(3)
    view = api.server.context.commits.view
    (span,) = await view.get(layout.block(ACCOUNT, jids[0]))
    assert await failure_among(view, ACCOUNT, [(1, 3)], Turns().of(ACCOUNT)) is None

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 2)])

    turn = api.server.context.turns.of(ACCOUNT)
    assert await failed_jids(view, ACCOUNT, span.batch, turn) == [2]
    verdict = await failure_among(view, ACCOUNT, [(1, 3)], Turns().of(ACCOUNT))
    assert verdict is not None
    assert verdict.failure is not None


def test_only_several_jobs_can_fail_fast() -> None:
    """A single job is watched anyway, and ignored failures decide nothing."""
    assert prerequisite((1, 2)).fails_fast
    assert prerequisite((1, 1), (5, 5)).fails_fast
    assert not prerequisite((1, 1)).fails_fast
    assert not prerequisite((1, 2), ignore=True).fails_fast


def test_the_first_failed_job_among_the_ranges() -> None:
    """Failed jobs outside of the ranges do not count."""
    both = prerequisite((2, 3), (7, 9))

    assert both.first_of([1, 4, 8, 9]) == 8
    assert both.first_of([1, 4, 5, 10]) is None
    assert both.first_of([3, 8]) == 3


def test_a_prerequisite_watches_one_job() -> None:
    """A new watch replaces the one before; nothing is left when none is needed."""
    watches, each = Watches(), prerequisite((1, 2))
    first, second = (layout.PageId(ACCOUNT, batch, 0) for batch in ("b1", "b2"))

    watches.watch(each, first, 0)
    watches.watch(each, second, 1)

    assert watches.batches() == {"b2"}
    watches.drop(each)
    assert len(watches) == 0
    assert each.watched is None
