"""The fence: a slot may only speak of attempts that it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.jobs.fence import (
    Blame,
    charge_loss,
    give_back,
    has_free,
    holds_attempt,
    jobs_of_slot,
    page_for_slot,
    slots_of_page,
)
from picloud_api.store import layout
from picloud_model.job import MAX_LOSSES, Cause, State
from picloud_model.page import Flag, Page

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

SLOT = 7


def leased(count: int = 3) -> Page:
    """Return a page whose job 1 is held by a slot, as its second attempt."""
    page = Page.fresh(count)
    page.state[1], page.slot[1], page.attempt[1] = State.LEASED, SLOT, 2
    return page


def test_a_slot_holds_the_attempt_it_was_leased() -> None:
    """Slot, index, attempt and state must all fit."""
    page = leased()

    assert holds_attempt(page, 1, 2, SLOT)
    assert not holds_attempt(page, 1, 1, SLOT)
    assert not holds_attempt(page, 1, 2, SLOT + 1)
    assert not holds_attempt(page, 0, 0, 0)
    assert not holds_attempt(page, 99, 2, SLOT)
    page.state[1] = State.DONE
    assert not holds_attempt(page, 1, 2, SLOT)


def test_jobs_and_slots_of_a_page() -> None:
    """Only leased and running jobs count as held."""
    page = leased()

    assert jobs_of_slot(page, SLOT) == [1]
    assert jobs_of_slot(page, SLOT + 1) == []
    assert slots_of_page(page) == {SLOT}
    page.state[1] = State.KILLED
    assert jobs_of_slot(page, SLOT) == []
    assert slots_of_page(page) == set()


def test_a_page_is_free_while_a_job_can_be_leased() -> None:
    """Queued jobs and those that lost their slot can be leased, no others."""
    page = leased(2)
    assert has_free(page)
    page.state[0] = State.RETRYING
    assert has_free(page)
    page.state[0] = State.WAITING
    assert not has_free(page)


@pytest.mark.parametrize(
    ("before", "after"), [(State.LEASED, State.QUEUED), (State.PROCESSING, State.RETRYING)]
)
def test_a_returned_job_is_not_charged(before: State, after: State) -> None:
    """It goes back into the queue; one that was shown as processing stays so."""
    page = leased()
    page.state[1] = before

    give_back(page, 1)

    assert (page.state[1], page.slot[1], page.losses[1]) == (after, 0, 0)


def test_a_job_is_queued_again_until_it_was_lost_too_often() -> None:
    """The last loss ends it with a cause."""
    page = leased()
    for _ in range(MAX_LOSSES - 1):
        page.state[1], page.slot[1] = State.LEASED, SLOT
        page.flags[1] |= Flag.BEGUN
        assert charge_loss(page, 1, Blame.JOB, restartable=True) is None
        assert (page.state[1], page.slot[1]) == (State.QUEUED, 0)

    assert charge_loss(page, 1, Blame.JOB, restartable=True) is Cause.NODE_LOST


def test_what_cannot_be_restarted_ends_at_its_first_loss() -> None:
    """The caller makes it final, as it does with a job that its user has killed."""
    page = leased()
    page.flags[1] |= Flag.BEGUN
    assert charge_loss(page, 1, Blame.JOB, restartable=False) is Cause.NODE_LOST
    page = leased()
    page.flags[1] |= Flag.KILL_REQUESTED
    assert charge_loss(page, 1, Blame.JOB, restartable=True) is Cause.KILLED


async def test_a_page_that_contradicts_the_slot_is_read_again(api: ApiHarness) -> None:
    """Another process may have made the lease; a page that agrees costs no request."""
    await api.submit(1)
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    view = api.server.context.commits.view
    page_id = layout.PageId(ACCOUNT, lease.batch, 0)
    current = await view.get(layout.page(page_id))
    jobs = [(0, lease.jobs[0].attempt)]

    assert await page_for_slot(view, page_id, jobs, slot.number) is current
    stale = await page_for_slot(view, page_id, [(0, 5)], slot.number)

    assert stale is not None
    assert not holds_attempt(stale, 0, 5, slot.number)
