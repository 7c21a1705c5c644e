"""Plots: numbers that a script draws, and words for those who do not see them."""

from __future__ import annotations

import msgspec
from picloud_api.web.drawings.plot import PlotLine, plot


def test_a_plot_has_a_column_for_each_line() -> None:
    """The first one is the times; names, units and colors are apart."""
    lines = [(PlotLine("In", "a second", "link"), [0.5, 1.0]), (PlotLine("Out", "%", "x"), [2, 3])]

    drawn = plot([1, 2], "min", lines, "words")

    assert msgspec.json.decode(drawn.columns) == [[1, 2], [0.5, 1.0], [2, 3]]
    assert msgspec.json.decode(drawn.series) == [["In", "a second", "link"], ["Out", "%", "x"]]
    assert (drawn.unit, drawn.text) == ("min", "words")
