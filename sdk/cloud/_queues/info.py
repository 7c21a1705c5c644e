"""What is known of queues and their handlers, as dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from picloud_model.wire.attachment import AttachmentInfo
    from picloud_model.wire.queue import QueueInfo


def counted(info: QueueInfo) -> dict[str, Any]:
    """Return what is known of a queue."""
    return {
        "name": info.name,
        "created": info.created_at,
        "count": info.ready,
        "delayed": info.delayed,
        "in_flight": info.in_flight,
    }


def shown(info: AttachmentInfo) -> dict[str, Any]:
    """Return what is known of a handler."""
    return {
        "function": info.function_name,
        "attached": info.created_at,
        "output_queues": info.outputs,
        "error_queues": info.errors,
        "paused": info.paused,
        "max_parallel_jobs": info.max_parallel_jobs,
        "readers_per_job": info.readers_per_job,
        "max_per_second": info.max_per_second or None,
        "max_in_flight": info.max_in_flight or None,
        "dedupe": info.dedupe,
        "jids": info.jids,
    }
