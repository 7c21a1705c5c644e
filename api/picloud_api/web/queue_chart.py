"""Charts: how many messages came and went in a queue in the last hour, as two lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.queue import RATE_EVERY_S, RATES_KEPT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.queue import QueueRates

WIDTH: Final = 122
"""Two for each minute, and a margin."""
HEIGHT: Final = 26
_MARGIN: Final = 1
_TOGETHER: Final = 60 // RATE_EVERY_S
"""How many counts are one point of a line: those of a minute."""
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


def _minutes(counts: Sequence[int]) -> list[int]:
    """Return the counts of each minute of the hour, the oldest first."""
    hour = [0] * (RATES_KEPT - len(counts)) + [*counts]
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
