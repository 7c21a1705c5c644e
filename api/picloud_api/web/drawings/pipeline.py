"""Pipelines: where queues and the handlers between them are drawn, a column for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire.attachment import AttachmentInfo

COLUMN: Final = 320
"""The distance from a queue to those that its handler pushes into."""
ROW: Final = 84
BOX: Final = (180, 44)
"""The width and height of a queue."""
RADIUS: Final = 14
"""The size of a handler."""
MARGIN: Final = 10
_GAP: Final = 24
"""The distance from a queue to its handler."""
_BACK: Final = 60


class DrawnQueue(msgspec.Struct, frozen=True):
    """A queue: the left upper corner of its rectangle."""

    name: str
    x: int
    y: int


class DrawnHandler(msgspec.Struct, frozen=True, kw_only=True):
    """A handler: the middle of its circle."""

    queue: str
    function_name: str
    x: int
    y: int
    is_paused: bool


class DrawnArrow(msgspec.Struct, frozen=True):
    """A line from a queue to its handler, or from there to a queue: the path of an SVG."""

    path: str
    is_error: bool


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing of some queues."""

    width: int
    height: int
    queues: list[DrawnQueue]
    handlers: list[DrawnHandler]
    arrows: list[DrawnArrow]


def pipeline(names: Sequence[str], attachments: Sequence[AttachmentInfo]) -> Pipeline:
    """Return a drawing of queues: those that handlers push into are to the right of their queues.

    Args:
        names: The queues.
        attachments: Their handlers; queues that these name and that do not exist are left out.
    """
    by_queue = {each.queue: each for each in attachments if each.queue in names}
    columns = _columns(names, by_queue)
    heights = [0] * (max(columns.values(), default=0) + 1)
    places: dict[str, DrawnQueue] = {}
    for name in names:
        column = columns[name]
        y = MARGIN + heights[column] * ROW
        places[name] = DrawnQueue(name, MARGIN + column * COLUMN, y)
        heights[column] += 1
    handlers, arrows = [], []
    for queue, attachment in by_queue.items():
        place = places[queue]
        handler = DrawnHandler(
            queue=queue,
            function_name=attachment.function_name,
            x=place.x + BOX[0] + _GAP + RADIUS,
            y=place.y + BOX[1] // 2,
            is_paused=attachment.paused,
        )
        handlers.append(handler)
        arrows.append(DrawnArrow(f"M{place.x + BOX[0]} {handler.y}h{_GAP}", is_error=False))
        for outputs, is_error in ((attachment.outputs, False), (attachment.errors, True)):
            ends = [places[name] for name in dict.fromkeys(outputs) if name in places]
            arrows += [DrawnArrow(_path(handler, end), is_error) for end in ends]
    return Pipeline(
        width=2 * MARGIN + (len(heights) - 1) * COLUMN + BOX[0] + _GAP + 2 * RADIUS + _BACK,
        height=2 * MARGIN + max(heights) * ROW,
        queues=list(places.values()),
        handlers=handlers,
        arrows=arrows,
    )


def _columns(names: Sequence[str], by_queue: Mapping[str, AttachmentInfo]) -> dict[str, int]:
    """Return the column of each queue: one right of the nearest queue that leads to it."""
    targets = {name: {*each.outputs, *each.errors} for name, each in by_queue.items()}
    fed = {target for name, outputs in targets.items() for target in outputs - {name}}
    columns: dict[str, int] = {}
    for root in [*(name for name in names if name not in fed), *names]:
        following = [] if root in columns else [root]
        columns.setdefault(root, 0)
        while following:
            name = following.pop(0)
            for target in sorted(targets.get(name, ())):
                if target in names and target not in columns:
                    columns[target] = columns[name] + 1
                    following.append(target)
    return columns


def _path(handler: DrawnHandler, end: DrawnQueue) -> str:
    """Return a curve from a handler to the left side of a queue; back, it goes below."""
    x, y = handler.x + RADIUS, handler.y
    to_x, to_y = end.x, end.y + BOX[1] // 2
    if to_x > x:
        middle = (x + to_x) // 2
        return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
    to_x, to_y = end.x + BOX[0] // 2, end.y + BOX[1]
    low = max(y, to_y) + _GAP
    return f"M{x} {y}C{x + _BACK} {low} {to_x} {low} {to_x} {to_y}"
