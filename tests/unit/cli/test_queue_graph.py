"""Drawings of pipelines: each queue once, whatever the handlers connect."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from picloud import queue_graph


def queue(name: str, *outputs: str, errors: tuple[str, ...] = (), **changed: Any) -> dict[str, Any]:
    """A queue as `cloud.queue.pipeline()` tells it, with a handler if it has outputs or errors."""
    info: dict[str, Any] = {"name": name, "count": 0, "delayed": 0, "in_flight": 0}
    if outputs or errors:
        info["attachment"] = {
            "function": f"{name}_handler",
            "output_queues": list(outputs),
            "error_queues": list(errors),
            "max_parallel_jobs": 2,
            "paused": False,
            "jids": [7],
        }
        info["attachment"].update(changed.pop("attachment", {}))
    return info | changed


PIPELINE = [
    queue("bad", count=1),
    queue("callback", "done", attachment={"paused": True}),
    queue("done"),
    queue("medium", "sepia", "callback"),
    queue("sepia", "callback"),
    queue("thumbnail", "callback", in_flight=3, delayed=1),
    queue("urls", "thumbnail", "medium", errors=("bad",), count=1200),
]


def test_a_pipeline_as_text() -> None:
    """A queue that several handlers push into is described once; errors have another arrow."""
    assert (
        queue_graph.text(PIPELINE)
        == """\
urls: 1,200 waiting
│ urls_handler, 1 of 2 jobs
├─> thumbnail: 1 delayed, 3 in flight
│   │ thumbnail_handler, 1 of 2 jobs
│   └─> callback: empty
│       │ callback_handler, paused
│       └─> done: empty
├─> medium: empty
│   │ medium_handler, 1 of 2 jobs
│   ├─> sepia: empty
│   │   │ sepia_handler, 1 of 2 jobs
│   │   └─> callback, as above
│   └─> callback, as above
└─x bad: 1 waiting"""
    )


def test_circles_and_chosen_queues() -> None:
    """A circle begins somewhere and ends; only what follows the chosen queues is drawn."""
    circle = [queue("a", "b"), queue("b", "a"), queue("loop", "loop", "gone"), queue("alone")]

    assert queue_graph.text(circle).splitlines() == [
        "loop: empty",
        "│ loop_handler, 1 of 2 jobs",
        "└─> loop, as above",
        "alone: empty",
        "a: empty",
        "│ a_handler, 1 of 2 jobs",
        "└─> b: empty",
        "    │ b_handler, 1 of 2 jobs",
        "    └─> a, as above",
    ]
    assert queue_graph.text(PIPELINE, ["sepia"]).splitlines()[-1] == "    └─> done: empty"
    assert queue_graph.text([]) == ""


def test_a_deep_pipeline() -> None:
    """A thousand queues, each with a handler that pushes into the next one."""
    deep = [queue(f"q{number:03}", f"q{number + 1:03}") for number in range(999)] + [queue("q999")]

    assert len(queue_graph.text(deep).splitlines()) == 1999
    assert queue_graph.svg(deep).count("<rect") == 1001


def test_a_pipeline_as_svg() -> None:
    """Each queue is a box right of those before it, each output an arrow; texts are escaped."""
    renamed = [*PIPELINE, queue("loop", "loop", attachment={"function": "<lambda> & more" * 4})]
    drawn = queue_graph.svg(renamed)
    root = ET.fromstring(drawn)
    tag = "{http://www.w3.org/2000/svg}"
    left = {
        (group.findtext(f"{tag}title") or "").split(":")[0]: int(box.attrib["x"])
        for group in root.findall(f"{tag}g")
        for box in group.findall(f"{tag}rect")
    }
    arrows = [path.attrib["class"] for path in root.findall(f"{tag}path")]

    assert left["urls"] < left["thumbnail"] == left["medium"] == left["bad"] < left["sepia"]
    assert left["sepia"] < left["callback"] < left["done"]
    assert (arrows.count("to"), arrows.count("to error")) == (8, 1)
    assert "&lt;lambda&gt; &amp; more" in drawn
    assert ET.fromstring(queue_graph.svg([])).tag == f"{tag}svg"
