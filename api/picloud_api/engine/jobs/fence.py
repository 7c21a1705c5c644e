"""The fence: which slot holds which attempt of a job, and what happens to a job that is lost.

A slot's report is published only while the attempt that it names is the one in the page.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from picloud_model.job import LEASABLE, MAX_LOSSES, MAX_SPARED, UNDER_LEASE, Cause, State
from picloud_model.page import Flag

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_model.page import Page

    from picloud_api.store.draft import Draft
    from picloud_api.store.view import View


class Blame(IntEnum):
    """What a slot was lost for; the value is the weight of a loss that its job is not to blame for.

    A job is charged if its slot died alone. Any other loss counts, too, but much less.
    """

    JOB = 0
    """The slot died alone: the job that it ran may have ended it."""
    OUTSIDE = 1
    """The slot was stopped, or died with its machine or the server."""
    UNCLEAR = 20
    """Several slots died within seconds."""


def has_free(page: Page) -> bool:
    """Whether a page has a job that can be leased."""
    return any(state in page.state for state in LEASABLE)


def jobs_of_slot(page: Page, slot: int) -> list[int]:
    """Return the indexes of the jobs in a page that a slot holds."""
    if slot not in page.slot:
        return []
    return [
        index
        for index, owner in enumerate(page.slot)
        if owner == slot and page.state[index] in UNDER_LEASE
    ]


def slots_of_page(page: Page) -> set[int]:
    """Return the slots that hold jobs of a page."""
    return {slot for slot, state in zip(page.slot, page.state, strict=True) if state in UNDER_LEASE}


def killed_under_lease(page: Page) -> list[tuple[int, int]]:
    """Return (index, attempt) of the jobs that a slot holds and that their user has killed."""
    return [
        (index, page.attempt[index])
        for index, flags in enumerate(page.flags)
        if flags & Flag.KILL_REQUESTED and page.state[index] in UNDER_LEASE
    ]


def give_back(page: Page, index: int) -> None:
    """Put a job that its slot has not started back into the queue, uncharged.

    A job that was reported as running once stays `processing` for its user; its next attempt has
    a start of its own.
    """
    begun = page.state[index] == State.PROCESSING
    page.state[index] = State.RETRYING if begun else State.QUEUED
    page.slot[index] = 0
    page.started[index] = 0.0


def may_have_begun(page: Page, index: int, *, restartable: bool) -> bool:
    """Whether a job that a slot holds may have begun there.

    Slots announce the start of a job that must not run twice, or that was lost before; of others
    they report it only after a while.
    """
    if page.flags[index] & Flag.BEGUN:
        return True
    if not restartable:  # slots of earlier versions set no flag
        return page.state[index] == State.PROCESSING
    return not was_lost(page, index)


def was_lost(page: Page, index: int) -> bool:
    """Whether a slot was lost that may have run an earlier attempt of a job."""
    return bool(page.losses[index] or page.spared[index])


def charge_loss(page: Page, index: int, blame: Blame, *, restartable: bool) -> Cause | None:
    """Charge a job for the loss of its slot: it is queued again, unless it was lost too often.

    Returns:
        The cause if the job has to end in error, which is the caller's to do; else None.
    """
    if page.flags[index] & Flag.KILL_REQUESTED:
        return Cause.KILLED
    if may_have_begun(page, index, restartable=restartable):
        if blame is Blame.JOB:
            page.losses[index] += 1
        else:
            page.spared[index] = min(page.spared[index] + blame, MAX_SPARED)
        lost_too_often = page.losses[index] >= MAX_LOSSES or page.spared[index] >= MAX_SPARED
        if not restartable or lost_too_often:
            return Cause.NODE_LOST
    give_back(page, index)
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
