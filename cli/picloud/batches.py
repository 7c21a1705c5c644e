"""Reading the batches of an account, and their rows in a table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from cloud._client.current import client
from cloud._jobs.listing import paged
from picloud_model.ranges import format_jids

from picloud import units
from picloud.tables import StatusCounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from picloud_model.wire import BatchesRequest, ListedBatch


def read(request: BatchesRequest, limit: int) -> Iterator[ListedBatch]:
    """Yield up to `limit` batches, newest first; each request returns a page."""

    def fetch(page: BatchesRequest) -> tuple[Sequence[ListedBatch], int | None]:
        answer = client().batches(page)
        return answer.batches, answer.more

    return paged(fetch, request, limit)


def shown_jids(batch: ListedBatch) -> str:
    """Return the jids of a batch in the form that every command reads."""
    return format_jids(batch.jids)


def shown_status(batch: ListedBatch) -> object:
    """Return the cell for the statuses of a batch: that of a call, or counts for a map."""
    if batch.count == 1:
        return next(iter(batch.statuses))
    return StatusCounts(batch.statuses)


def runtime(started_at: float, finished_at: float) -> float | None:
    """Return the time from a start to an end, or to now; None if nothing has started."""
    return max(0.0, (finished_at or time.time()) - started_at) if started_at else None


def shown_runtime(seconds: float | None) -> str:
    """Return the cell for a run time."""
    return "" if seconds is None else units.duration(seconds)


def fields(batch: ListedBatch) -> dict[str, Any]:
    """Return a batch as JSON output shows it."""
    return {
        "jids": shown_jids(batch),
        "count": batch.count,
        "statuses": batch.statuses,
        "function": batch.function_name,
        "label": batch.label,
        "created": units.iso(batch.created_at),
        "runtime": runtime(batch.started_at, batch.finished_at),
    }
