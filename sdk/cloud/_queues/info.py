"""What is known of queues and their handlers, as dicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.queue import RATE_EVERY_S

if TYPE_CHECKING:
    from picloud_model.wire.attachment import AttachmentInfo
    from picloud_model.wire.queue import QueueInfo, QueueRates

_LATEST: Final = 6
"""How many counts the rates are a mean of: those of a minute."""


def counted(info: QueueInfo, rates: QueueRates) -> dict[str, Any]:
    """Return what is known of a queue."""
    lists = {"in": rates.pushed, "out": rates.removed, "failed": rates.failed}
    seconds = _LATEST * RATE_EVERY_S
    return {
        "name": info.name,
        "created": info.created_at,
        "count": info.ready,
        "delayed": info.delayed,
        "in_flight": info.in_flight,
        "oldest": info.oldest_at or None,
        "per_second": {
            what: round(sum(counts[-_LATEST:]) / seconds, 2) for what, counts in lists.items()
        },
        "per_10_s": {"until": rates.until, **lists},
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
