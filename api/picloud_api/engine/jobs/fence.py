"""The fence: which slot holds which attempt of a job, and what happens to a job that is lost.

A slot's report is published only while the attempt that it names is the one in the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.job import LEASABLE, MAX_LOSSES, UNDER_LEASE, Cause, State
from picloud_model.page import Flag

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_model.page import Page

    from picloud_api.store.draft import Draft
    from picloud_api.store.view import View


def has_free(page: Page) -> bool:
    """Whether a page has a job that can be leased."""
    return any(state in page.state for state in LEASABLE)


def jobs_of_slot(page: Page, slot: int) -> list[int]:
    """The indexes of the jobs in a page that a slot holds."""
    if slot not in page.slot:
        return []
    return [
        index
        for index, owner in enumerate(page.slot)
        if owner == slot and page.state[index] in UNDER_LEASE
    ]


def slots_of_page(page: Page) -> set[int]:
    """The slots that hold jobs of a page."""
    return {slot for slot, state in zip(page.slot, page.state, strict=True) if state in UNDER_LEASE}


def give_back(page: Page, index: int) -> None:
    """Put a job that its slot has not started back into the queue, uncharged.

    A job that was reported as running once stays `processing` for its user.
    """
    begun = page.state[index] == State.PROCESSING
    page.state[index] = State.RETRYING if begun else State.QUEUED
    page.slot[index] = 0


def charge_loss(page: Page, index: int, *, restartable: bool) -> Cause | None:
    """Charge a job for the loss of its slot: it is queued again, unless it was lost too often.

    Returns:
        The cause if the job has to end in error, which is the caller's to do; else None.
    """
    page.losses[index] += 1
    if page.flags[index] & Flag.KILL_REQUESTED:
        return Cause.KILLED
    if not restartable or page.losses[index] >= MAX_LOSSES:
        return Cause.NODE_LOST
    begun = page.state[index] == State.PROCESSING
    page.state[index] = State.RETRYING if begun else State.QUEUED
    page.slot[index] = 0
    return None


def holds_attempt(page: Page, index: int, attempt: int, slot: int) -> bool:
    """Whether a slot still holds an attempt of a job."""
    return (
        index < len(page)
        and page.attempt[index] == attempt
        and page.slot[index] == slot
        and page.state[index] in UNDER_LEASE
    )


async def page_for_slot(
    store: Draft | View, page_id: layout.PageId, jobs: Iterable[tuple[int, int]], slot: int
) -> Page | None:
    """Return the page in which a slot says that it holds jobs, given by (index, attempt).

    If the page in memory contradicts the slot, it is read again: another process may have made the
    lease.
    """
    name = layout.page(page_id)
    page: Page | None = await store.get(name)
    if page is not None and all(holds_attempt(page, *job, slot) for job in jobs):
        return page
    latest: Page | None = await store.fresh(name)
    return latest
