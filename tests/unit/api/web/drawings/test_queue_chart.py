"""Charts of queues."""

from __future__ import annotations

import msgspec
from picloud_api.web.drawings.queue_chart import HEIGHT, queue_chart, queue_plot
from picloud_model.wire.queue import QueueRates


def rates(pushed: list[int], removed: list[int], failed: list[int]) -> QueueRates:
    """Rates of a queue."""
    return QueueRates(queue="q", until=10.0, pushed=pushed, removed=removed, failed=failed)


def test_lines_end_at_the_last_minute() -> None:
    """The highest point is at the top, without messages a line is at the bottom."""
    chart = queue_chart(rates([1200] + [0] * 6, [0] * 7, [0, 3] + [0] * 5))

    assert chart is not None
    assert chart.text == (
        "last hour: 1,200 in, 0 out, 3 failed; last minute: 0 in, 0 out, 3 failed"
    )
    points = chart.pushed.removeprefix("M").split("L")
    assert len(points) == 60
    assert points[-2].split()[1] == "1.0"
    assert {each.split()[1] for each in chart.removed.removeprefix("M").split("L")} == {
        f"{HEIGHT - 1:.1f}"
    }
    assert chart.failed


def test_a_quiet_queue_has_no_chart() -> None:
    """Nor a line of failures, if there are none."""
    assert queue_chart(rates([], [], [])) is None
    chart = queue_chart(rates([1], [1], [0]))
    assert chart is not None
    assert not chart.failed


def test_a_plot_has_a_point_for_each_ten_seconds() -> None:
    """In messages a second; time before the first message counts as 0."""
    drawn = queue_plot(rates([50, 100], [20, 0], [0, 0]))

    times, pushed, removed, failed = msgspec.json.decode(drawn.columns)
    assert (len(times), times[-1], pushed[-2:], removed[-2:]) == (360, 0, [5, 10], [2, 0])
    assert set(failed) == {0}
    assert drawn.text == "in the last hour 150 in, 20 out, 0 failed"
