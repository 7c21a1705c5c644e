"""The page: columns of states that are moved, copied, stored and read."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picloud_model.job import MOVES, Cause, State
from picloud_model.page import PAGE_JOBS, Flag, Page, pages_for


@given(st.integers(1, 50), st.data())
def test_a_stored_page_is_the_same_page(jobs: int, data: st.DataObject) -> None:
    """Every column survives, whether it holds only zeros or not."""
    page = Page.fresh(jobs)
    page.packs = data.draw(st.integers(0, 9))
    for index in data.draw(st.sets(st.integers(0, jobs - 1))):
        page.move(index, State.LEASED)
        page.attempt[index] += 1
        page.slot[index] = 2**40
        page.started[index] = 1.5
        page.flags[index] |= Flag.KILL_REQUESTED

    again = Page.decode(page.encode())

    assert all(getattr(again, name) == getattr(page, name) for name in Page.__slots__)
    assert len(again) == jobs


@pytest.mark.parametrize("before", State)
@pytest.mark.parametrize("after", State)
def test_a_job_moves_along_the_table_only(before: State, after: State) -> None:
    """A move that the table lacks is an error and changes nothing."""
    page = Page.fresh(2, before)

    if after in MOVES[before]:
        page.move(1, after, Cause.SIGNAL)
        assert (page.state[1], page.cause[1]) == (after, Cause.SIGNAL)
    else:
        with pytest.raises(ValueError, match=f"from {before.name} to {after.name}"):
            page.move(1, after)
        assert page.state[1] == before
    assert page.state[0] == before


def test_a_copy_is_independent() -> None:
    """A page in the view is never written to; its copy is."""
    page = Page.fresh(3)

    page.copy().move(1, State.LEASED)

    assert page.state[1] == State.QUEUED


def test_open_and_leased_jobs_are_counted() -> None:
    """Waiting and queued jobs are open, and those under lease are, too."""
    page = Page.fresh(4)
    page.move(0, State.LEASED)
    page.move(1, State.LEASED)
    page.move(1, State.PROCESSING)
    page.move(2, State.KILLED)

    assert (page.open, page.leased) == (3, 2)
    assert [page.ended(index) for index in range(4)] == [False, False, True, False]


def test_an_untouched_page_takes_almost_no_room() -> None:
    """100,000 queued jobs are stored in a few kilobytes."""
    assert len(Page.fresh(PAGE_JOBS).encode()) < 30


def test_jobs_fill_pages() -> None:
    """A page begins at each multiple of 1,000 jobs."""
    assert [pages_for(jobs) for jobs in (0, 1, 1000, 1001)] == [0, 1, 1, 2]


def test_a_page_of_an_earlier_version_has_fewer_columns() -> None:
    """Columns that it does not have are zeros."""
    page = Page.fresh(2)
    page.attempt[1] = 3
    jobs, packs, state, columns = msgspec.msgpack.decode(page.encode())

    again = Page.decode(msgspec.msgpack.encode([jobs, packs, state, columns[:-1]]))

    assert list(again.attempt) == [0, 3]
    assert list(again.spared) == [0, 0]


def test_pages_whose_jobs_are_alike_take_almost_no_room() -> None:
    """A killed map of millions of jobs is written in less than a megabyte."""
    page = Page.fresh(PAGE_JOBS)
    page.fill(0, PAGE_JOBS, State.KILLED, finished=1.5, cause=3, pack=1)

    again = Page.decode(page.encode())

    assert len(page.encode()) < 100
    assert (again.state, again.finished, again.cause) == (page.state, page.finished, page.cause)
    assert again.slot == page.slot


@pytest.mark.parametrize("jobs", [1, 2, PAGE_JOBS])
@pytest.mark.parametrize("different", [0, -1, None])
def test_a_page_is_read_as_it_was_written(jobs: int, different: int | None) -> None:
    """Whether the jobs are alike, or one of them differs."""
    page = Page.fresh(jobs, State.WAITING)
    page.fill(0, jobs, State.DONE, started=1.0, slot=2**60, attempt=258)
    if different is not None:
        page.state[different], page.slot[different] = State.ERROR, 3

    again = Page.decode(page.encode())

    assert all(getattr(again, name) == getattr(page, name) for name in Page.__slots__)
