"""What `picloud up` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from picloud.stack.announcement import price_lines, unfinished, unfinished_lines
from picloud_model.wire import BatchesListed, BatchesRequest, ListedBatch


def _batch(first: int, count: int, **statuses: int) -> ListedBatch:
    return ListedBatch(
        first=first,
        count=count,
        function_name="f",
        label=None,
        created_at=0.0,
        statuses=statuses,
        started_at=0.0,
        finished_at=0.0,
    )


@pytest.mark.parametrize(
    ("batches", "more", "line"),
    [
        ([_batch(7, 1, queued=1)], None, "1 unfinished job goes on: 7"),
        (
            [_batch(10, 5, done=2, processing=1, queued=2), _batch(7, 1, queued=1)],
            None,
            "4 unfinished jobs go on: 7, 10-14",
        ),
        (
            [_batch(jid, 1, queued=1) for jid in range(9, 2, -1)],
            3,
            "At least 7 unfinished jobs go on: 3, 4, 5, 6, 7, ...",
        ),
    ],
)
def test_unfinished_jobs_are_counted(batches: Any, more: int | None, line: str) -> None:
    """The oldest ones are named, as they run first."""
    listed = BatchesListed(batches=batches, more=more, slots=0)

    assert unfinished_lines(listed) == [f"  jobs     {line}"]


def test_without_jobs_nothing_is_said() -> None:
    """The first start says nothing of jobs."""
    assert unfinished_lines(BatchesListed(batches=[], slots=0)) == []


def test_unfinished_jobs_are_found_behind_many_that_have_ended() -> None:
    """Page after page; a page without any is not the end of the list."""
    pages = {
        None: BatchesListed(batches=[], more=900, slots=0),
        900: BatchesListed(batches=[_batch(7, 1, queued=1)], more=5, slots=0),
        5: BatchesListed(batches=[], slots=0),
    }

    def fetch(request: BatchesRequest) -> BatchesListed:
        return pages[request.before]

    assert unfinished_lines(unfinished(fetch)) == ["  jobs     1 unfinished job goes on: 7"]


def test_the_search_for_unfinished_jobs_has_an_end() -> None:
    """A long list of jobs that have ended must not delay `picloud up`."""
    requests = list[BatchesRequest]()

    def fetch(request: BatchesRequest) -> BatchesListed:
        requests.append(request)
        return BatchesListed(batches=[], more=900 - len(requests), slots=0)

    assert unfinished_lines(unfinished(fetch)) == []
    assert len(requests) == 20


def test_prices_for_a_running_server_are_not_read() -> None:
    """It says so, as the file has no effect."""
    (line,) = price_lines(Path("prices.toml"))

    assert line == (
        "  prices   prices.toml was not read: a running server keeps its prices until it ends"
    )
    assert price_lines(None) == []
