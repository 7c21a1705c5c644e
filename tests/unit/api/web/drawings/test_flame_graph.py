"""Flame graphs: boxes as wide as the time that they stand for."""

from __future__ import annotations

from picloud_api.web.drawings.flame_graph import WIDTH, flame_graph

from tests.unit.api.job_info import profiled

CALLS = [
    profiled("", "main", 1, 0.0, 4.0),
    profiled("main", "left", 1, 0.0, 1.0),
    profiled("main", "right", 1, 0.0, 3.0),
    profiled("left", "shared", 1, 0.0, 1.0),
    profiled("right", "shared", 1, 0.0, 3.0),
    profiled("shared", "deep", 1, 0.0, 2.0),
]


def test_boxes_are_on_those_that_called_them() -> None:
    """A function with two callers has two boxes, and what it called is divided between them."""
    graph = flame_graph(CALLS)

    assert graph is not None
    found = [(box.name, box.x, box.width) for box in graph.boxes]
    assert found == [
        ("main", 0, WIDTH),
        ("left", 0, 250),
        ("shared", 0, 250),
        ("deep", 0, 125),
        ("right", 250, 750),
        ("shared", 250, 750),
        ("deep", 250, 375),
    ]
    assert graph.total_s == 4.0


def test_a_graph_can_begin_at_a_function() -> None:
    """Then it has the whole width."""
    graph = flame_graph(CALLS, "shared")

    assert graph is not None
    assert [(box.name, box.width) for box in graph.boxes] == [("shared", WIDTH), ("deep", 500)]


def test_functions_that_call_each_other_end() -> None:
    """A function is once on each path; one without time has no box."""
    calls = [
        profiled("", "a", 1, 1.0, 2.0),
        profiled("a", "b", 1, 1.0, 1.0),
        profiled("b", "a", 1, 0.5, 0.5),
        profiled("b", "b", 1, 0.5, 0.5),
        profiled("a", "quick", 9, 0.0, 0.0),
    ]

    graph = flame_graph(calls)

    assert graph is not None
    assert [box.name for box in graph.boxes] == ["a", "b"]
    assert flame_graph([profiled("", "a", 1, 0.0, 0.0)]) is None
    assert flame_graph([]) is None
