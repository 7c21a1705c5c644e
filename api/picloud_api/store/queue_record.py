"""Records of queues and of the handlers that are attached to them."""

from __future__ import annotations

from typing import ClassVar

from picloud_model.wire import SubmitRequest

from picloud_api.store.records import NamedRecord, Record


class QueueRecord(NamedRecord, frozen=True):
    """A queue of an account, under the key `queues/<account>/<name>`.

    `id` is its name in the queue port, which no later queue of the same name has. `spills` is
    whether it ever had a message in a blob. `attachment` is the id of its handler, or "". While
    that is `paused`, its jobs receive nothing. `ending` are those of its jobs that are to end.
    `per_second` and `in_flight` limit what they take; 0 means no limit.
    """

    prefix: ClassVar[str] = "queues/"

    id: str
    created_at: float
    spills: bool = False
    attachment: str = ""
    paused: bool = False
    ending: tuple[int, ...] = ()
    per_second: float = 0.0
    in_flight: int = 0


class HandlerJob(Record, frozen=True):
    """A job of a handler, counted from 1 in its attachment; its jid is 0 until it is submitted."""

    number: int
    jid: int = 0


class AttachmentRecord(NamedRecord, frozen=True, kw_only=True):
    """The handler of a queue, under the key `attachments/<account>/<queue>`.

    `job` is what each of its jobs runs. `started` is how many it ever had, and `jobs` those that
    had not ended when this was written. After `failed` jobs in a row that failed, the next one does
    not start before `next_at`.
    """

    prefix: ClassVar[str] = "attachments/"

    id: str
    job: SubmitRequest
    outputs: list[str]
    errors: list[str]
    max_parallel_jobs: int
    readers_per_job: int
    created_at: float
    started: int = 0
    jobs: tuple[HandlerJob, ...] = ()
    failed: int = 0
    next_at: float = 0.0
    dedupe: bool = False


def queue_key(account: str, name: str) -> str:
    """Return the key of a queue."""
    return f"{QueueRecord.prefix}{account}/{name}"


def attachment_key(account: str, queue: str) -> str:
    """Return the key of the handler of a queue."""
    return f"{AttachmentRecord.prefix}{account}/{queue}"
