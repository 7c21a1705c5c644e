"""Charts: how many messages came and went in a queue in the last hour, small and large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.queue import RATE_EVERY_S, RATES_KEPT

from picloud_api.web.drawings.plot import Plot, PlotLine, plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.queue import QueueRates

WIDTH: Final = 122
"""Two for each minute, and a margin."""
HEIGHT: Final = 26
_MARGIN: Final = 1
_TOGETHER: Final = 60 // RATE_EVERY_S
"""How many counts are one point of a line: those of a minute."""
_LINES: Final = (
    PlotLine("In", "a second", "link"),
    PlotLine("Out", "a second", "soft"),
    PlotLine("Failed", "a second", "error"),
)
_POINTS: Final = RATES_KEPT // _TOGETHER


class QueueChart(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing of the rates of a queue: the paths of an SVG, and what it shows in words."""

    pushed: str
    removed: str
    failed: str
    text: str


def queue_chart(rates: QueueRates) -> QueueChart | None:
    """Return a drawing of rates; None if there were no messages in the hour."""
    lists = {"in": rates.pushed, "out": rates.removed, "failed": rates.failed}
    if not any(map(any, lists.values())):
        return None
    minutes = {what: _minutes(counts) for what, counts in lists.items()}
    most = max(map(max, minutes.values()))
    total = ", ".join(f"{sum(counts):,} {what}" for what, counts in lists.items())
    latest = ", ".join(f"{counts[-1]:,} {what}" for what, counts in minutes.items())
    return QueueChart(
        pushed=_line(minutes["in"], most),
        removed=_line(minutes["out"], most),
        failed=_line(minutes["failed"], most) if any(minutes["failed"]) else "",
        text=f"last hour: {total}; last minute: {latest}",
    )


def queue_plot(rates: QueueRates) -> Plot:
    """Return the rates of the last hour as lines, a point for each 10 seconds."""
    times = [round((at + 1 - RATES_KEPT) * RATE_EVERY_S / 60, 2) for at in range(RATES_KEPT)]
    lists = [_hour(counts) for counts in (rates.pushed, rates.removed, rates.failed)]
    values = [[count / RATE_EVERY_S for count in counts] for counts in lists]
    words = ", ".join(
        f"{sum(counts):,} {line.label.lower()}" for line, counts in zip(_LINES, lists, strict=True)
    )
    return plot(times, "min", [*zip(_LINES, values, strict=True)], f"in the last hour {words}")


def _hour(counts: Sequence[int]) -> list[int]:
    """Return the counts of the hour, with 0 for the time before the first message."""
    return [0] * (RATES_KEPT - len(counts)) + [*counts]


def _minutes(counts: Sequence[int]) -> list[int]:
    """Return the counts of each minute of the hour, the oldest first."""
    hour = _hour(counts)
    return [sum(hour[start : start + _TOGETHER]) for start in range(0, RATES_KEPT, _TOGETHER)]


def _line(minutes: Sequence[int], most: int) -> str:
    """Return the path of a line whose highest point is at `most`."""
    step = (WIDTH - 2 * _MARGIN) / (_POINTS - 1)
    height = HEIGHT - 2 * _MARGIN
    points = (
        f"{_MARGIN + at * step:.1f} {HEIGHT - _MARGIN - height * count / most:.1f}"
        for at, count in enumerate(minutes)
    )
    return "M" + "L".join(points)
