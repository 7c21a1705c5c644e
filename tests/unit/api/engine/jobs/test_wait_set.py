"""The wait set: the cost of a wait for many batches depends on what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import pytest
from picloud_api.engine.jobs.locate import PageSlice
from picloud_api.engine.jobs.wait_set import WaitSet
from picloud_api.engine.process.batch_watch import BatchWatchers
from picloud_api.engine.process.turns import Turns
from picloud_api.store import layout
from picloud_model.job import State
from picloud_model.page import Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_api.store.view import View

BATCHES = 1000


class Pages:
    """A view of batches with one page of three jobs each, which counts the reads."""

    def __init__(self) -> None:
        self.pieces = [
            PageSlice(layout.PageId("a1", f"b{number}", 0), 0, 3, 1 + 3 * number)
            for number in range(BATCHES)
        ]
        self.pages = {layout.page(piece.page_id): Page.fresh(3) for piece in self.pieces}
        self.reads = 0

    async def get(self, key: str) -> Page:
        self.reads += 1
        return self.pages[key]

    def end(self, number: int, *jobs: int, state: State = State.DONE) -> None:
        """Let some jobs of a batch end."""
        for job in jobs:
            self.pages[layout.page(self.pieces[number].page_id)].state[job] = state


TURN: Final = Turns().of("a1")


@pytest.fixture
def pages() -> Pages:
    """The pages in the store."""
    return Pages()


@pytest.fixture
def watchers() -> BatchWatchers:
    """The watches of the process."""
    return BatchWatchers()


@pytest.fixture
def awaited(pages: Pages, watchers: BatchWatchers) -> Iterator[WaitSet]:
    """A wait for all jobs of all batches."""
    with watchers.watch({piece.page_id.batch for piece in pages.pieces}) as watch:
        yield WaitSet(cast("View", pages), pages.pieces, watch)


async def test_only_what_changed_is_read_again(
    pages: Pages, watchers: BatchWatchers, awaited: WaitSet
) -> None:
    """The first look reads each page once; each later one reads the pages of changed batches."""
    await awaited.refresh(TURN)
    assert (pages.reads, awaited.final, awaited.total) == (BATCHES, 0, 3 * BATCHES)
    for number in (7, 3):
        pages.end(number, 0, 2)
        watchers.wake(f"b{number}")
    await awaited.refresh(TURN)
    assert (pages.reads - BATCHES, awaited.final) == (2, 4)
    assert awaited.with_final() == [pages.pieces[3], pages.pieces[7]]
    assert awaited.states == {State.QUEUED, State.DONE}


async def test_what_has_ended_is_not_read_again(
    pages: Pages, watchers: BatchWatchers, awaited: WaitSet
) -> None:
    """A page whose jobs are all final is not read again at any wake-up; its jobs still count."""
    for number in range(BATCHES):
        pages.end(number, 0, 1, 2, state=State.KILLED)
    pages.end(5, 1, state=State.QUEUED)
    await awaited.refresh(TURN)
    assert awaited.final == 3 * BATCHES - 1
    pages.reads = 0
    watchers.wake_all()
    await awaited.refresh(TURN)
    assert pages.reads == 1
    pages.end(5, 1)
    watchers.wake("b5")
    await awaited.refresh(TURN)
    assert awaited.final == awaited.total
    assert awaited.states == {State.KILLED, State.DONE}


async def test_a_job_is_counted_once(
    pages: Pages, watchers: BatchWatchers, awaited: WaitSet
) -> None:
    """However often a batch with unfinished jobs is read, its final jobs count once."""
    for ended in range(3):
        pages.end(0, ended)
        watchers.wake("b0")
        await awaited.refresh(TURN)
        assert awaited.final == ended + 1


async def test_a_change_before_the_wait_is_not_missed(
    watchers: BatchWatchers, awaited: WaitSet
) -> None:
    """A change between a look and the wait after it ends that wait at once."""
    await awaited.refresh(TURN)
    watchers.wake("b1")
    assert await awaited.wait_for_change(60)
    await awaited.refresh(TURN)
    assert not await awaited.wait_for_change(0)


def test_no_watch_is_left_behind(watchers: BatchWatchers) -> None:
    """Once a wait is over, its batches are no longer watched."""
    with watchers.watch({"b1", "b2"}), watchers.watch({"b2"}):
        assert watchers.watched("b1")
    assert not watchers.watched("b1")
    assert not watchers.watched("b2")
