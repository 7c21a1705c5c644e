"""`cloud.usage`: rows of several answers are added up without rounding."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException
from cloud._costs.usage import read_months, read_usage
from picloud_model.wire.grant import FreeHours, Grant, GrantsListed
from picloud_model.wire.usage import JobUsage, JobUsageRequest, JobUsageRow

if TYPE_CHECKING:
    from picloud_model.wire import Answer
    from picloud_model.wire.usage import UsageGroup


class Answers:
    """A transport that returns answers in turn, and keeps the requests."""

    def __init__(self, *answers: JobUsage) -> None:
        self._answers = list(answers)
        self.requests: list[JobUsageRequest] = []
        self.grants = GrantsListed(grants=[], free=[])

    def post(self, path: str, request: JobUsageRequest, _answer: type) -> Answer:
        if path == "/v1/grants/list":
            return self.grants
        self.requests.append(request)
        return self._answers.pop(0)


def _row(group: str, price: float | None, ms: int, core_type: str = "c1") -> JobUsageRow:
    return JobUsageRow(
        group=group, core_type=core_type, dollars_per_hour=price, jobs=1, runtime_ms=ms, core_ms=ms
    )


def _read(by: UsageGroup, *answers: JobUsage) -> Any:
    transport: Any = Answers(*answers)
    return read_usage(transport, JobUsageRequest(by=by))


def test_rows_of_one_group_are_added_up() -> None:
    """Over several answers, core types and prices; what has no price is named."""
    first = JobUsage(rows=[_row("a", 0.1, 1), _row("b", 1.0, 3_600_000)], more=7)
    last = JobUsage(rows=[_row("a", 0.2, 1), _row("a", None, 500, "m1")])

    table = _read("label", first, last)

    assert [(row.group, row.jobs, row.runtime) for row in table] == [
        ("b", 1, 3600.0),
        ("a", 3, 0.502),
    ]
    assert table[1].cost == pytest.approx(0.3 / 3_600_000, rel=1e-12)
    assert (table[0].unpriced, table[1].unpriced, table.total.unpriced) == ((), ("m1",), ("m1",))
    assert (table.total.jobs, table.total.core_hours) == (4, 3_600_502 / 3_600_000)


def test_each_request_begins_where_the_last_answer_ended() -> None:
    """The client asks until all jobs are counted."""
    transport: Any = Answers(JobUsage(rows=[], more=100), JobUsage(rows=[], more=50), JobUsage([]))

    assert read_usage(transport, JobUsageRequest(by="day")) == []
    assert [request.before for request in transport.requests] == [None, 100, 50]


@pytest.mark.parametrize(
    ("by", "groups"), [("day", ["2026-01-01", "2026-01-02"]), ("map", ["1", "2-9"])]
)
def test_days_and_maps_are_in_the_order_of_time(by: UsageGroup, groups: list[str]) -> None:
    """The server reads the newest first."""
    rows = [_row(group, 0.1, 10) for group in reversed(groups)]

    assert [row.group for row in _read(by, JobUsage(rows=rows))] == groups


def test_months_say_what_is_to_be_paid() -> None:
    """They are added up from days, those before the first one that is shown, too."""
    answers = JobUsage([_row("2026-10-31", 0.5, 10 * 3_600_000)], more=3)
    more = JobUsage([_row("2026-11-01", 0.5, 10 * 3_600_000)])
    transport: Any = Answers(answers, more)
    grant = Grant(id=1, since="2026-10-05", until="2026-11-30", dollars=4.0)
    transport.grants = GrantsListed([grant], [FreeHours("1970-01-01", {"c1": 4.0})])

    table = read_months(transport, datetime(2026, 11, 15, tzinfo=UTC).timestamp())

    (row,) = table
    assert (row.group, row.cost, row.free, row.granted, row.to_pay) == ("2026-11", 5, 2, 1, 2)
    assert (table.total.cost, table.total.to_pay) == (5, 2)
    assert [(each.grant, each.left) for each in table.grants] == [(grant, 0.0)]
    assert datetime.fromtimestamp(transport.requests[0].since_at, UTC) == datetime(
        2026, 10, 1, tzinfo=UTC
    )
    assert "<th>to pay ($)<tr>" in table._repr_html_()


def test_notebooks_show_a_table() -> None:
    """With the sum in its last row; names are escaped."""
    html = _read("label", JobUsage(rows=[_row("<b>", 3600.0, 1000)]))._repr_html_()

    assert "&lt;b&gt;" in html
    assert "1,000.0000" not in html
    assert "1.0000" in html


def test_wrong_arguments_are_named() -> None:
    """Before any request."""
    with pytest.raises(
        CloudException, match="by must be one of label, function, day, type, map, month"
    ):
        cloud.usage(by="week")
    with pytest.raises(CloudException, match="since must be a datetime"):
        cloud.usage(since="yesterday")
