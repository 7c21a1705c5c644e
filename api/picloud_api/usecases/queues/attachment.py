"""Attachments: handlers of queues, and the jobs in which these run."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace
from picloud_model.errors import (
    AttachmentNotFound,
    PiCloudError,
    QueueNotFound,
    RequestRefused,
)
from picloud_model.job import ENDED, Status
from picloud_model.wire import MSGPACK, encode
from picloud_model.wire.attachment import AttachmentInfo, AttachmentsListed

from picloud_api.store.queue_record import (
    AttachmentRecord,
    HandlerJob,
    QueueRecord,
    attachment_key,
    queue_key,
)
from picloud_api.usecases.queues.queue import missing_queue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from picloud_model.wire.attachment import AttachRequest, UpdateAttachmentRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.jobs.status import JobStatuses
    from picloud_api.usecases.jobs.submit import SubmitJobs
    from picloud_api.usecases.queues.queue import Queues

_JOB_BYTES: Final = 128 * 1024
"""The largest description of the jobs of a handler; what is larger is a blob."""
_LONGEST_PAUSE_S: Final = 60.0
_FAILED: Final = frozenset({Status.ERROR.value, Status.STALLED.value})

_log = structlog.get_logger()


class Attachments:
    """Attaches handlers to queues, and starts their jobs."""

    def __init__(
        self, context: Context, queues: Queues, submit: SubmitJobs, status: JobStatuses
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._queues = queues
        self._submit = submit
        self._status = status

    async def attach(self, account: str, request: AttachRequest) -> AttachmentInfo:
        """Attach a handler to a queue, in place of an earlier one.

        Raises:
            QueueNotFound: When the queue, or one that the handler pushes into, does not exist.
            RequestRefused: When its job is not a call that could be submitted.
            BlobMissing: When the job names blobs that are not stored.
        """
        job = request.job
        if len(encode(job, MSGPACK)) > _JOB_BYTES:
            message = f"A handler of more than {_JOB_BYTES:,} bytes must be a blob."
            raise RequestRefused(message, field="job.function")
        await self._submit.check_call(account, job, "A handler")
        for name in sorted({*request.outputs, *request.errors}):
            await self._queues.info(account, name)
        record = AttachmentRecord(
            id=job.submit_id,
            job=job,
            outputs=request.outputs,
            errors=request.errors,
            max_parallel_jobs=request.max_parallel_jobs,
            readers_per_job=request.readers_per_job,
            created_at=self._clock(),
            dedupe=request.dedupe,
        )

        async def plan(draft: Draft) -> None:
            queue: QueueRecord | None = await draft.fresh(queue_key(account, request.queue))
            if queue is None:
                raise await missing_queue(self._commits.view, account, request.queue, "queue")
            before: AttachmentRecord | None = await draft.fresh(
                attachment_key(account, request.queue)
            )
            if before is not None and before.id == record.id:
                return
            draft.put(attachment_key(account, request.queue), record)
            draft.put(
                queue_key(account, request.queue),
                replace(
                    queue,
                    attachment=record.id,
                    ending=(),
                    per_second=request.max_per_second,
                    in_flight=request.max_in_flight,
                ),
            )

        await self._commits.run(plan)
        self._queues.pushed.add(account, request.queue)
        return await self.info(account, request.queue)

    async def detach(self, account: str, queue: str) -> None:
        """Detach the handler of a queue, if it has one; its jobs end with their present messages.

        Raises:
            QueueNotFound: When the account has no such queue.
        """

        async def plan(draft: Draft) -> None:
            record: QueueRecord | None = await draft.fresh(queue_key(account, queue))
            if record is None:
                raise await missing_queue(self._commits.view, account, queue, "queue")
            if await draft.fresh(attachment_key(account, queue)) is not None:
                draft.delete(attachment_key(account, queue))
            if record.attachment:
                detached = QueueRecord(record.id, record.created_at, record.spills)
                draft.put(queue_key(account, queue), detached)

        await self._commits.run(plan)

    async def update(self, account: str, request: UpdateAttachmentRequest) -> AttachmentInfo:
        """Pause a handler or let it go on, or change its limits.

        Jobs beyond their number finish the messages that they have, and end.

        Raises:
            QueueNotFound: When the account has no such queue.
            AttachmentNotFound: When no handler is attached to it.
        """
        name, most = request.queue, request.max_parallel_jobs
        alive = await self._alive(account, await self._record(account, name))

        async def plan(draft: Draft) -> None:
            queue: QueueRecord | None = await draft.fresh(queue_key(account, name))
            record: AttachmentRecord | None = await draft.fresh(attachment_key(account, name))
            if queue is None:
                raise await missing_queue(self._commits.view, account, name, "queue")
            if record is None:
                raise AttachmentNotFound(_without(name), field="queue")
            if most is not None:
                draft.put(attachment_key(account, name), replace(record, max_parallel_jobs=most))
                queue = replace(queue, ending=tuple(alive[most:]))
            changes = {
                "paused": request.paused,
                "per_second": request.max_per_second,
                "in_flight": request.max_in_flight,
            }
            queue = replace(
                queue, **{name: value for name, value in changes.items() if value is not None}
            )
            draft.put(queue_key(account, name), queue)

        await self._commits.run(plan)
        self._queues.pushed.add(account, name)
        return await self.info(account, name)

    async def info(self, account: str, queue: str) -> AttachmentInfo:
        """Return what is known of the handler of a queue.

        Raises:
            AttachmentNotFound: When no handler is attached to it.
        """
        record = await self._record(account, queue)
        found: QueueRecord | None = await self._commits.view.fresh(queue_key(account, queue))
        return await self._info(account, queue, record, found)

    async def list(self, account: str) -> AttachmentsListed:
        """Return all attachments of an account."""
        prefix = attachment_key(account, "")
        records = await self._commits.view.scan(prefix)
        queues = await self._commits.view.scan(queue_key(account, ""))
        attachments = []
        for key in sorted(records):
            name = key.removeprefix(prefix)
            found = queues.get(queue_key(account, name))
            attachments.append(await self._info(account, name, records[key], found))
        return AttachmentsListed(attachments=attachments)

    async def all(self) -> set[tuple[str, str]]:
        """Return the account and the queue of each attachment."""
        keys = await self._commits.view.scan(AttachmentRecord.prefix)
        names = (key.removeprefix(AttachmentRecord.prefix).split("/") for key in keys)
        return {(account, queue) for account, queue in names}

    # --- jobs ---

    async def start_jobs(self, account: str, queue: str, *, grow: bool) -> None:
        """Start a job if messages wait and none runs; with `grow` more if those are not enough."""
        try:
            found, counts = await self._queues.counts(account, queue)
        except QueueNotFound:
            return
        record: AttachmentRecord | None = await self._commits.view.fresh(
            attachment_key(account, queue)
        )
        if not found.attachment and record is None:
            return
        if record is None or found.paused or not counts.ready or self._clock() < record.next_at:
            return
        statuses = {job: await self._status_of(account, job) for job in record.jobs}
        alive = [job for job, status in statuses.items() if status not in ENDED]
        wanted = max(1, len(alive))
        if grow and all(statuses[job] == Status.PROCESSING.value for job in alive):
            wanted = min(record.max_parallel_jobs, 2 * len(alive) or 1, len(alive) + counts.ready)
            wanted = min(wanted, found.in_flight or wanted)
        planned = self._planned(record, statuses, wanted)
        if planned != record or any(not job.jid for job in alive):
            await self._renew(account, queue, record, planned)

    def _planned(
        self, record: AttachmentRecord, statuses: Mapping[HandlerJob, str], wanted: int
    ) -> AttachmentRecord:
        """Return the record with the jobs that there are to be.

        After a job that failed there is a pause, so that a handler that always fails does not start
        job after job.
        """
        alive = [job for job, status in statuses.items() if status not in ENDED]
        ended = [status for status in statuses.values() if status in ENDED]
        failed = record.failed
        if ended:
            failed = failed + 1 if all(status in _FAILED for status in ended) else 0
        pauses = failed > record.failed
        added = 0 if pauses else max(0, wanted - len(alive))
        numbers = range(record.started + 1, record.started + 1 + added)
        return replace(
            record,
            started=record.started + added,
            jobs=(*alive, *map(HandlerJob, numbers)),
            failed=failed,
            next_at=self._clock() + min(_LONGEST_PAUSE_S, 2.0**failed) if pauses else 0.0,
        )

    async def _renew(
        self, account: str, queue: str, seen: AttachmentRecord, planned: AttachmentRecord
    ) -> None:
        """Record which jobs there are to be, then submit those that were not submitted yet."""
        key = attachment_key(account, queue)

        async def reserve(draft: Draft) -> bool:
            if await draft.fresh(key) != seen:
                return False  # another process does it
            draft.put(key, planned)
            return True

        if not await self._commits.run(reserve):
            return
        submitted = tuple(
            [
                job
                if job.jid
                else HandlerJob(job.number, await self._submitted(account, planned, job))
                for job in planned.jobs
            ]
        )

        async def note(draft: Draft) -> None:
            if await draft.fresh(key) == planned:
                draft.put(key, replace(planned, jobs=submitted))

        await self._commits.run(note)

    async def _submitted(self, account: str, record: AttachmentRecord, job: HandlerJob) -> int:
        """Submit a job, unless it was; return its jid, or 0 if that has to be tried again."""
        digest = blake2b(f"{record.id}/{job.number}".encode(), digest_size=16)
        request = replace(record.job, submit_id=digest.hexdigest())
        try:
            return (await self._submit.submit(account, request, digest.digest())).first
        except PiCloudError as error:
            _log.warning("handler.not_started", account=account, reason=error.message)
            return 0

    async def _status_of(self, account: str, job: HandlerJob) -> str:
        if not job.jid:
            return Status.QUEUED.value
        return await self._status.of_one(account, job.jid) or Status.KILLED.value

    async def _record(self, account: str, queue: str) -> AttachmentRecord:
        key = attachment_key(account, queue)
        record: AttachmentRecord | None = await self._commits.view.fresh(key)
        if record is None:
            raise AttachmentNotFound(_without(queue), field="queue")
        return record

    async def _alive(self, account: str, record: AttachmentRecord) -> Sequence[int]:
        """Return the unfinished jobs of a handler, the oldest first."""
        return [
            job.jid
            for job in record.jobs
            if job.jid and await self._status_of(account, job) not in ENDED
        ]

    async def _info(
        self, account: str, queue: str, record: AttachmentRecord, found: QueueRecord | None
    ) -> AttachmentInfo:
        return AttachmentInfo(
            queue=queue,
            id=record.id,
            function_name=record.job.function_name,
            created_at=record.created_at,
            outputs=record.outputs,
            errors=record.errors,
            max_parallel_jobs=record.max_parallel_jobs,
            readers_per_job=record.readers_per_job,
            jids=[*await self._alive(account, record)],
            paused=found is not None and found.paused,
            max_per_second=found.per_second if found else 0.0,
            max_in_flight=found.in_flight if found else 0,
            dedupe=record.dedupe,
        )


def _without(queue: str) -> str:
    return f"No handler is attached to the queue {queue!r}."
