"""Pipelines: each queue and handler has its own place, whatever leads where."""

from __future__ import annotations

from picloud_api.web.drawings.pipeline import COLUMN, MARGIN, pipeline
from picloud_model.wire.attachment import AttachmentInfo


def _handler(queue: str, *outputs: str, errors: tuple[str, ...] = ()) -> AttachmentInfo:
    return AttachmentInfo(
        queue=queue,
        id="0" * 32,
        function_name="f",
        created_at=0.0,
        outputs=list(outputs),
        errors=list(errors),
        max_parallel_jobs=1,
        readers_per_job=1,
        jids=[],
    )


def _columns(names: list[str], *handlers: AttachmentInfo) -> dict[str, int]:
    drawing = pipeline(names, handlers)
    places = {(queue.x, queue.y) for queue in drawing.queues}
    assert len(places) == len(names)
    assert all(queue.x < drawing.width and queue.y < drawing.height for queue in drawing.queues)
    return {queue.name: (queue.x - MARGIN) // COLUMN for queue in drawing.queues}


def test_outputs_are_right_of_their_queue() -> None:
    """A column for each step, for errors as well."""
    handlers = _handler("a", "b", "c", errors=("bad",)), _handler("b", "d")

    assert _columns(["a", "b", "bad", "c", "d"], *handlers) == {
        "a": 0, "b": 1, "c": 1, "bad": 1, "d": 2,
    }  # fmt: skip


def test_circles_are_drawn() -> None:
    """A handler may push into its own queue, and two queues into each other."""
    assert _columns(["a", "b"], _handler("a", "a", "b"), _handler("b", "a")) == {"a": 0, "b": 1}
    assert _columns(["x"], _handler("x", "x")) == {"x": 0}


def test_queues_that_do_not_exist_are_left_out() -> None:
    """Deleted outputs have no arrows; without queues the drawing is empty."""
    drawing = pipeline(["a"], [_handler("a", "gone"), _handler("gone", "a")])

    assert len(drawing.arrows) == len(drawing.handlers) == 1
    assert pipeline([], []).queues == []
