"""Flame graphs: the time of a profiled job as boxes, each on the one that called it.

A profile says who called a function, and not by which path. So the time of a function that has
several callers is divided among their paths as it is among the callers.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire import ProfiledCall

WIDTH: Final = 1000
ROW: Final = 18
_CHARACTER: Final = 6.6
"""The width of a character of the text."""
_LEAST: Final = 1.0
"""Narrower boxes are left out."""
_DEEPEST: Final = 60
_COLORS: Final = 5
"""How many colours there are; a function always has the same one."""


class FlameBox(msgspec.Struct, frozen=True, kw_only=True):
    """A function as another one has called it: the left upper corner of its box, and its width."""

    name: str
    text: str
    x: float
    y: int
    width: float
    total_s: float
    color: int


class FlameGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing of a profile, and the seconds that its whole width stands for."""

    boxes: list[FlameBox]
    height: int
    total_s: float


def flame_graph(calls: Sequence[ProfiledCall], focus: str = "") -> FlameGraph | None:
    """Return a drawing; None if nothing took any time.

    Args:
        calls: Which functions called which.
        focus: The function at the bottom; "" for the function of the job.

    >>> from picloud_model.wire import ProfiledCall
    >>> calls = [ProfiledCall("", "f", 1, 0.1, 1.0), ProfiledCall("f", "g", 9, 0.9, 0.9)]
    >>> [(box.name, box.x, box.y, box.width) for box in flame_graph(calls).boxes]
    [('f', 0.0, 0, 1000.0), ('g', 0.0, 18, 900.0)]
    """
    called: dict[str, list[ProfiledCall]] = defaultdict(list)
    totals: dict[str, float] = defaultdict(float)
    for call in calls:
        if call.caller == call.function:
            continue
        called[call.caller].append(call)
        totals[call.function] += call.total_s
    bottom = [(focus, totals[focus])] if focus else _roots(called)
    whole_s = sum(seconds for _, seconds in bottom)
    if not whole_s:
        return None
    drawing = _Drawing(called, totals, WIDTH / whole_s)
    x = 0.0
    for name, seconds in bottom:
        drawing.add(name, seconds, x, ())
        x += seconds * drawing.scale
    height = max((box.y for box in drawing.boxes), default=0) + ROW
    return FlameGraph(boxes=drawing.boxes, height=height, total_s=whole_s)


def _roots(called: Mapping[str, Sequence[ProfiledCall]]) -> list[tuple[str, float]]:
    return [(call.function, call.total_s) for call in called.get("", ())]


class _Drawing:
    """The boxes that were drawn so far; `scale` is the width of a second."""

    def __init__(
        self,
        called: Mapping[str, Sequence[ProfiledCall]],
        totals: Mapping[str, float],
        scale: float,
    ) -> None:
        self._called = called
        self._totals = totals
        self.scale = scale
        self.boxes: list[FlameBox] = []

    def add(self, name: str, seconds: float, x: float, path: tuple[str, ...]) -> None:
        """Draw a function that took some seconds on this path, and what it called."""
        width = seconds * self.scale
        if width < _LEAST or len(path) >= _DEEPEST:
            return
        box = FlameBox(
            name=name,
            text=_cut(short(name), int(width / _CHARACTER)),
            x=round(x, 1),
            y=len(path) * ROW,
            width=round(width, 1),
            total_s=seconds,
            color=sum(name.encode()) % _COLORS,
        )
        self.boxes.append(box)
        path = (*path, name)
        calls = [call for call in self._called.get(name, ()) if call.function not in path]
        # Where functions call each other, what they called may have taken longer than they did.
        whole_s = max(self._totals[name], sum(call.total_s for call in calls))
        for call in calls:
            part_s = seconds * call.total_s / whole_s if whole_s else 0.0
            self.add(call.function, part_s, x, path)
            x += part_s * self.scale


def short(name: str) -> str:
    """Return the name of a function without the folders of its file.

    >>> short("/usr/lib/python3/json/decoder.py:343(raw_decode)"), short("{built-in method sum}")
    ('raw_decode (decoder.py:343)', '{built-in method sum}')
    """
    place, bracket, function = name.rpartition("(")
    if not bracket or name.startswith("{"):
        return name
    return f"{function.removesuffix(')')} ({place.rpartition('/')[2]})"


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    return text[: characters - 2] + ".." if characters > 4 else ""  # noqa: PLR2004 - room for two
