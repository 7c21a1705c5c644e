"""Dependency graphs: jobs to the right of those that they waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.web.drawings.dependency_graph import (
    COLUMN,
    MARGIN,
    DependencyNode,
    dependency_graph,
)

if TYPE_CHECKING:
    from picloud_model.ranges import Range


def node(jids: Range, *depends_on: Range) -> DependencyNode:
    """Some jobs."""
    return DependencyNode(jids=jids, function_name="f", status="done", depends_on=depends_on)


def test_jobs_are_to_the_right_of_all_that_they_waited_for() -> None:
    """Also of those that are waited for by others on the way."""
    a, b, c, d = (1, 1), (2, 5), (6, 6), (7, 7)
    nodes = {d: node(d, a, c), c: node(c, b), b: node(b, a), a: node(a)}

    graph = dependency_graph(nodes, d)

    assert graph is not None
    columns = {box.node.jids: (box.x - MARGIN) // COLUMN for box in graph.boxes}
    assert columns == {a: 0, b: 1, c: 2, d: 3}
    assert len(graph.arrows) == 4
    assert {box.text: box.address for box in graph.boxes}["jobs 2-5"] == "/maps/2"


def test_jobs_that_are_not_there_are_left_out() -> None:
    """Deleted ones, and those beyond the bound; a job that waited for none has no graph."""
    a, b, missing = (1, 1), (2, 2), (9, 9)

    graph = dependency_graph({b: node(b, a, missing), a: node(a)}, b)

    assert graph is not None
    assert len(graph.arrows) == 1
    assert dependency_graph({b: node(b, missing)}, b) is None
