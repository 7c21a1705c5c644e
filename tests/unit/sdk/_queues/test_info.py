"""What is known of queues and handlers, as users see it."""

from __future__ import annotations

from cloud._queues.info import counted, shown
from picloud_model.wire.attachment import AttachmentInfo
from picloud_model.wire.queue import QueueInfo, QueueRates


def test_names_are_those_of_users() -> None:
    """A queue has counts, a handler its queues and jobs."""
    queue = QueueInfo(name="q", created_at=1.0, ready=2, delayed=3, in_flight=4)
    handler = AttachmentInfo(
        queue="q",
        id="0" * 32,
        function_name="f",
        created_at=5.0,
        outputs=["out"],
        errors=["bad"],
        max_parallel_jobs=6,
        readers_per_job=7,
        jids=[8],
    )

    rates = QueueRates(queue="q", until=80.0, pushed=[9] + [6] * 6, removed=[3] * 7, failed=[0] * 7)

    assert counted(queue, rates) == {
        "name": "q",
        "created": 1.0,
        "count": 2,
        "delayed": 3,
        "in_flight": 4,
        "oldest": None,
        "per_second": {"in": 0.6, "out": 0.3, "failed": 0.0},
        "per_10_s": {"until": 80.0, "in": [9] + [6] * 6, "out": [3] * 7, "failed": [0] * 7},
    }
    assert shown(handler) == {
        "function": "f",
        "attached": 5.0,
        "output_queues": ["out"],
        "error_queues": ["bad"],
        "paused": False,
        "max_parallel_jobs": 6,
        "readers_per_job": 7,
        "max_per_second": None,
        "max_in_flight": None,
        "dedupe": False,
        "jids": [8],
    }
