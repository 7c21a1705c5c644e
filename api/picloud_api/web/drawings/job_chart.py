"""Charts of jobs: processor and memory over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.info import InfoKey
from picloud_model.size import size

from picloud_api.web.drawings.plot import Plot, PlotLine, plot
from picloud_api.web.rendering import duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ROWS: Final = 120
"""The most rows of the table below a chart; the file has all of them."""
_PROCESSOR: Final = PlotLine("Processor", "%", "link")
_MEMORY: Final = PlotLine("Memory", "MB", "focus")
_MEGABYTE: Final = 1_000_000
_NOW: Final = (InfoKey.RUNTIME, InfoKey.CPU_PERCENTAGE, InfoKey.MEMORY_USAGE)

SampleRow = tuple[float, float, int]
"""Seconds since a job began, percent of one core, and bytes of memory."""


class JobChart(msgspec.Struct, frozen=True, kw_only=True):
    """What a job used over time, and the rows of a table of it."""

    plot: Plot
    rows: list[SampleRow]


def job_chart(values: Mapping[str, Any]) -> JobChart | None:
    """Return the chart of a job; None if it was not measured twice.

    While the job runs, the last point is what it uses now.

    Args:
        values: What `info` has about it.

    >>> chart = job_chart({"samples": [(1.0, 50.0, 2_000_000), (2.0, 99.0, 1_000_000)]})
    >>> chart.plot.columns, chart.plot.text
    ('[[1.0,2.0],[50.0,99.0],[2.0,1.0]]', '2 samples in 2.000 s, at most 99 % and 2.0 MB')
    """
    rows: list[SampleRow] = [*(values.get(InfoKey.SAMPLES) or ())]
    after, percentage, memory = (values.get(key) for key in _NOW)
    if rows and after is not None and percentage is not None and memory is not None:
        rows.append((round(max(after, rows[-1][0]), 2), percentage, memory))
    if len(rows) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    times, percentages, memories = zip(*rows, strict=True)
    most = f"at most {max(percentages):.0f} % and {size(max(memories))}"
    lines = [
        (_PROCESSOR, percentages),
        (_MEMORY, [round(each / _MEGABYTE, 3) for each in memories]),
    ]
    text = f"{len(rows)} samples in {duration(times[-1])}, {most}"
    return JobChart(plot=plot(times, "s", lines, text), rows=_thinned(rows))


def _thinned(rows: Sequence[SampleRow]) -> list[SampleRow]:
    """Return some of the rows, always with the last one."""
    step = -(-len(rows) // MOST_ROWS)
    return [*rows[(len(rows) - 1) % step :: step]]


def sample_file(values: Mapping[str, Any]) -> str:
    r"""Return the samples of a job as CSV.

    >>> sample_file({"samples": [(1.0, 50.0, 2_000_000)]})
    'seconds,cpu_percentage,memory_bytes\n1.0,50.0,2000000\n'
    """
    rows: list[SampleRow] = values.get(InfoKey.SAMPLES) or []
    lines = ["seconds,cpu_percentage,memory_bytes", *(",".join(map(str, row)) for row in rows)]
    return "\n".join(lines) + "\n"
