"""Plots: lines over time, as numbers in a page that a script draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class PlotLine(msgspec.Struct, frozen=True, array_like=True):
    """A line: its name, the unit of its values, and the color of the style sheet that it has."""

    label: str
    unit: str
    color: str


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines over the same times: `columns` and `series` in JSON, and `text` in words."""

    columns: str
    series: str
    unit: str
    text: str


def plot(
    times: Sequence[float],
    unit: str,
    lines: Sequence[tuple[PlotLine, Sequence[float]]],
    text: str,
) -> Plot:
    """Return a plot.

    Args:
        times: The times, in a unit of its own.
        unit: That unit.
        lines: The lines, each with a value for each time.
        text: What it shows, for those who do not see it.

    >>> plot([0, 1], "s", [(PlotLine("Processor", "%", "link"), [5, 6])], "from 5 % to 6 %").columns
    '[[0,1],[5,6]]'
    """
    return Plot(
        columns=_json([times, *(values for _, values in lines)]),
        series=_json([line for line, _ in lines]),
        unit=unit,
        text=text,
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
