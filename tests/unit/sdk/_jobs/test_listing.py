"""Lists of jobs: a row for each call and map, page by page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress, Transport
from cloud._jobs.listing import JobFilter, read_jobs
from cloud.errors import CloudException
from picloud_model import wire

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Batches(Transport):
    """A server with so many maps of two jobs each, which sends at most three in a reply."""

    def __init__(self, count: int) -> None:
        super().__init__(ServerAddress("http://127.0.0.1:9", "pk_1_2"), Config())
        self.requests: list[wire.BatchesRequest] = []
        self._firsts = [2 * number + 1 for number in reversed(range(count))]

    def post(self, path: str, body: Any, _: Any) -> Any:
        """Return a page."""
        assert path == "/v1/jobs/batches"
        self.requests.append(body)
        older = [first for first in self._firsts if body.before is None or first < body.before]
        page = older[: min(3, body.limit)]
        return wire.BatchesListed(
            batches=[
                wire.ListedBatch(
                    first=first,
                    count=2,
                    function_name="f",
                    label="l",
                    created_at=100.0,
                    statuses={"done": 1, "queued": 1},
                    started_at=101.0,
                    finished_at=0.0,
                )
                for first in page
            ],
            more=page[-1] if len(older) > len(page) else None,
        )


def test_rows_are_read_page_by_page() -> None:
    """Newest first, until there are enough or no more."""
    assert [row.jids for row in read_jobs(Batches(7), JobFilter(), 100)] == [
        range(first, first + 2) for first in range(13, 0, -2)
    ]
    server = Batches(7)
    assert len(read_jobs(server, JobFilter(), 4)) == 4
    assert [request.limit for request in server.requests] == [4, 1]


def test_rows_are_shown_in_a_line_and_in_a_table() -> None:
    """What a prompt and a notebook show names the jids as commands take them."""
    rows = read_jobs(Batches(1), JobFilter(), 100)

    assert repr(rows) == "[<1-2 f 'l': 1 done, 1 queued, 1970-01-01 00:01:40 UTC>]"
    assert "<tr><td>1-2<td>1 done, 1 queued<td>f<td>l<td>1970-01-01 00:01:40" in rows._repr_html_()


def test_a_row_has_counts_and_times() -> None:
    """A time that has not come is None."""
    (row,) = read_jobs(Batches(1), JobFilter(), 1)

    assert (row.function, row.label, row.statuses) == ("f", "l", {"done": 1, "queued": 1})
    assert row.created == datetime.fromtimestamp(100, UTC)
    assert row.started == datetime.fromtimestamp(101, UTC)
    assert row.finished is None


@pytest.mark.parametrize(
    ("wanted", "request_"),
    [
        (JobFilter(), wire.BatchesRequest()),
        (JobFilter(status="done"), wire.BatchesRequest(statuses=["done"])),
        (JobFilter(status=("done", "error")), wire.BatchesRequest(statuses=["done", "error"])),
        (JobFilter(label="x"), wire.BatchesRequest(label="x")),
        (JobFilter(function="m.f"), wire.BatchesRequest(function="m.f")),
        (JobFilter(env="", text="t"), wire.BatchesRequest(env="", text="t")),
        (JobFilter(parent=7), wire.BatchesRequest(parent="7")),
        (JobFilter(parent="cron x"), wire.BatchesRequest(parent="cron x")),
        (JobFilter(function=sorted), wire.BatchesRequest(function="builtins.sorted")),
        (JobFilter(since=NOW), wire.BatchesRequest(created_since=NOW.timestamp())),
        (JobFilter(since=60), wire.BatchesRequest(created_since=NOW.timestamp() - 60)),
        (
            JobFilter(since=timedelta(hours=1)),
            wire.BatchesRequest(created_since=NOW.timestamp() - 3600),
        ),
    ],
)
def test_what_can_be_wanted(wanted: JobFilter, request_: wire.BatchesRequest) -> None:
    """Names or functions, one status or several, moments or durations."""
    assert wanted.request(NOW) == request_


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (JobFilter(status="runing"), "status must be one of waiting, queued, .*, not 'runing'"),
        (JobFilter(status=7), "status must be one of"),
        (JobFilter(label=7), "label must be text, not 7"),
        (JobFilter(function=7), "function must be a function or its name, not 7"),
        (JobFilter(since="1h"), "since must be a datetime, a timedelta or seconds"),
        (JobFilter(since=-1), "since must be a datetime, a timedelta or seconds"),
    ],
)
def test_invalid_values_are_refused(wanted: JobFilter, message: str) -> None:
    """Before a request is sent."""
    server = Batches(1)

    with pytest.raises(CloudException, match=message):
        read_jobs(server, wanted, 1)

    assert server.requests == []


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", None])
def test_a_limit_is_a_whole_number(limit: Any) -> None:
    """From 1."""
    with pytest.raises(CloudException, match="limit must be a whole number from 1"):
        read_jobs(Batches(1), JobFilter(), limit)
