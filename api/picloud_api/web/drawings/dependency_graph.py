"""Dependency graphs: the jobs that a job waited for, and those that these waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMN: Final = 230
"""The distance from jobs to those that they waited for."""
ROW: Final = 62
BOX: Final = (180, 46)
"""The width and height of a box."""
MARGIN: Final = 10


class DependencyNode(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, the status of most of them, and the jobs that they waited for."""

    jids: Range
    function_name: str
    status: str
    depends_on: Sequence[Range]


class DrawnJobs(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs: the left upper corner of their box, and their address."""

    node: DependencyNode
    text: str
    address: str
    x: int
    y: int


class DependencyGraph(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing; arrows lead to jobs from those that they waited for."""

    boxes: list[DrawnJobs]
    arrows: list[str]
    width: int
    height: int


def dependency_graph(nodes: Mapping[Range, DependencyNode], last: Range) -> DependencyGraph | None:
    """Return a drawing; None if the last jobs waited for none.

    Args:
        nodes: The jobs that are drawn; others that they waited for are left out.
        last: Those that are drawn at the right end.

    >>> first = DependencyNode(jids=(1, 3), function_name="f", status="done", depends_on=[])
    >>> last = DependencyNode(jids=(4, 4), function_name="g", status="queued", depends_on=[(1, 3)])
    >>> graph = dependency_graph({(1, 3): first, (4, 4): last}, (4, 4))
    >>> [(box.text, box.x, box.y) for box in graph.boxes], len(graph.arrows)
    ([('jobs 1-3', 10, 10), ('job 4', 240, 10)], 1)
    """
    if len(nodes) < 2:  # noqa: PLR2004 - an arrow has two ends
        return None
    steps = _steps(nodes, last)
    most = max(steps.values())
    rows = [0] * (most + 1)
    boxes: dict[Range, DrawnJobs] = {}
    for jids in sorted(steps):
        column = most - steps[jids]
        boxes[jids] = _box(nodes[jids], MARGIN + column * COLUMN, MARGIN + rows[column] * ROW)
        rows[column] += 1
    arrows = [
        _path(boxes[before], box)
        for jids, box in boxes.items()
        for before in nodes[jids].depends_on
        if before in boxes
    ]
    return DependencyGraph(
        boxes=list(boxes.values()),
        arrows=arrows,
        width=2 * MARGIN + most * COLUMN + BOX[0],
        height=2 * MARGIN + max(rows) * ROW,
    )


def _steps(nodes: Mapping[Range, DependencyNode], last: Range) -> dict[Range, int]:
    """Return how many steps each node is away from the last one, by the longest way.

    Jobs depend on earlier ones only, so there is no circle.
    """
    steps = {last: 0}
    following = [last]
    while following:
        jids = following.pop()
        for before in nodes[jids].depends_on:
            if before in nodes and steps.get(before, 0) <= steps[jids]:
                steps[before] = steps[jids] + 1
                following.append(before)
    return steps


def _box(node: DependencyNode, x: int, y: int) -> DrawnJobs:
    first, last = node.jids
    is_one = first == last
    return DrawnJobs(
        node=node,
        text=f"job {first}" if is_one else f"jobs {first}-{last}",
        address=f"/jobs/{first}" if is_one else f"/maps/{first}",
        x=x,
        y=y,
    )


def _path(before: DrawnJobs, after: DrawnJobs) -> str:
    x, y = before.x + BOX[0], before.y + BOX[1] // 2
    to_x, to_y = after.x, after.y + BOX[1] // 2
    middle = (x + to_x) // 2
    return f"M{x} {y}C{middle} {y} {middle} {to_y} {to_x} {to_y}"
