"""The table: medians, goals, and how our stacks compare with the peers."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

from bench.measures import ROWS
from bench.registry import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.measures import Row

Results = dict[str, dict[str, list[float]]]
"""Values by row, then by contender: one for each run."""

_NAME = 30


class Report(NamedTuple):
    """What was measured, and what was not: `absent` has the reason, by contender and measure."""

    machine: str
    contenders: Sequence[str]
    results: Results
    absent: Mapping[str, str]

    def median(self, row: str, contender: str) -> float:
        """Return the median of all runs; NaN if there is none."""
        values = self.results.get(row, {}).get(contender, [])
        return statistics.median(values) if values else math.nan

    def as_json(self) -> dict[str, object]:
        """Return everything: all runs and the conclusions."""
        return {
            "machine": self.machine,
            "absent": dict(self.absent),
            "runs": self.results,
            "rows": {
                row: {
                    "name": ROWS[row].name,
                    "unit": ROWS[row].unit,
                    "goals": dict(ROWS[row].goals),
                    "goals_ahead": ROWS[row].ahead,
                    "medians": {name: _finite(self.median(row, name)) for name in self.contenders},
                    "ahead": {
                        ours: {peer: _finite(ratio) for peer, ratio in ratios.items()}
                        for ours in self.ours()
                        if (ratios := self.ahead(row, ours))
                    },
                }
                for row in self.results
            },
        }

    def ahead(self, row: str, ours: str) -> dict[str, float]:
        """Return how many times better it is than each peer; `best` is the lowest of these."""
        mine = self.median(row, ours)
        ratios = {}
        for peer in self.contenders:
            theirs = self.median(row, peer)
            if peer not in OURS and not math.isnan(theirs) and not math.isnan(mine):
                lower = ROWS[row].better == "lower"
                ratios[peer] = theirs / mine if lower else mine / theirs
        return {"best": min(ratios.values()), **ratios} if ratios else {}

    def text(self) -> str:
        """Return all of it as text."""
        parts = [self.machine, "", self._medians()]
        parts += [ratios for ours in self.ours() if (ratios := self._ratios(ours))]
        parts += [f"not measured: {what}: {why}" for what, why in sorted(self.absent.items())]
        return "\n".join(parts)

    def ours(self) -> list[str]:
        """Return those of the contenders that are this project."""
        return [name for name in self.contenders if name in OURS]

    def _medians(self) -> str:
        lines = [["median of the runs (goal)", *self.contenders]]
        for row in self.results:
            cells = [self._cell(row, name) for name in self.contenders]
            lines.append([ROWS[row].name, *cells])
        return _aligned(lines)

    def _cell(self, row: str, contender: str) -> str:
        value = self.median(row, contender)
        if math.isnan(value):
            return "-"
        goal = ROWS[row].goals.get(contender)
        lower = ROWS[row].better == "lower"
        return _number(value, ROWS[row]) + (_goal(value, goal, lower=lower) if goal else "")

    def _ratios(self, ours: str) -> str:
        peers = [name for name in self.contenders if name not in OURS]
        lines = [[f"{ours}: times better than", "best peer", *peers]]
        for row in self.results:
            ratios = self.ahead(row, ours)
            if ratios:
                goals = ROWS[row].ahead.get(ours, {})
                cells = [_ratio(ratios.get(each), goals.get(each)) for each in ("best", *peers)]
                lines.append([ROWS[row].name, *cells])
        return f"\n{_aligned(lines)}" if len(lines) > 1 else ""


def _ratio(ratio: float | None, goal: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2f}" + (_goal(ratio, goal, lower=False) if goal else "")


def _goal(value: float, goal: float, *, lower: bool) -> str:
    missed = value > goal if lower else value < goal
    return f" ({'<=' if lower else '>='} {goal:,g}{' MISSED' if missed else ''})"


def _number(value: float, row: Row) -> str:
    return f"{value:,.{0 if value >= 100 else 2}f} {row.unit}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    widths[0] = max(widths[0], _NAME)
    text = ["  ".join(_padded(line, widths)).rstrip() for line in lines]
    text.insert(1, "-" * len(max(text, key=len)))
    return "\n".join(text)


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    head, *rest = zip(line, widths, strict=True)
    return [f"{head[0]:<{head[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
