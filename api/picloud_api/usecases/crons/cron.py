"""Cron: jobs that run on a schedule.

Exactly one job is submitted for each due time, even if several processes do it, or one does it
again: its submit id is made of the registration and the due time.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import (
    AccountBusy,
    CronNotFound,
    PiCloudError,
    RequestConflict,
    Unavailable,
)
from picloud_model.job import ENDED
from picloud_model.wire import encode
from picloud_model.wire.cron import (
    MAX_CRONS,
    CronInfo,
    CronsListed,
    CronStarted,
)

from picloud_api.store import layout
from picloud_api.store.records import CronRecord, Event, EventKind
from picloud_api.usecases.crons.schedule import Schedule

if TYPE_CHECKING:
    from picloud_model.wire.cron import RegisterCronRequest, RunCronRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.jobs.status import JobStatuses
    from picloud_api.usecases.jobs.submit import SubmitJobs

GRACE_S: Final = 60.0
"""How late a run may be that still counts as due: as long as another process takes to lead."""
_SHOWN: Final = 5
"""Next times that are shown."""


class Crons:
    """Registers the cron jobs of accounts, and submits their jobs."""

    def __init__(
        self, context: Context, submit: SubmitJobs, status: JobStatuses, kill: KillJobs
    ) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._submit = submit
        self._status = status
        self._kill = kill

    async def register(self, account: str, request: RegisterCronRequest) -> CronInfo:
        """Run a job on a schedule, in place of an earlier cron job of the same label.

        Raises:
            RequestRefused: When the schedule or the job cannot be used, or the account has as many
                cron jobs as it may have.
            BlobMissing: When the job names blobs that are not stored.
        """
        job = request.job
        times = Schedule(request.schedule.schedule, request.schedule.timezone)
        await self._submit.check_call(account, job, "A cron job")
        key = layout.cron(account, request.label)
        view = self._commits.view
        if await view.fresh(key) is None:
            present = await view.scan(layout.cron(account))
            if len(present) >= MAX_CRONS:
                message = f"Your account has {MAX_CRONS} cron jobs, as many as it may have."
                raise RequestConflict(f"{message[:-1]}; deregister one.")
        now = self._clock()

        async def plan(draft: Draft) -> CronRecord:
            earlier: CronRecord | None = await draft.fresh(key)
            if earlier is not None and earlier.job.submit_id == job.submit_id:
                return earlier
            record = CronRecord(
                schedule=request.schedule, job=job, created_at=now, next_at=times.after(now)
            )
            draft.put(key, record)
            draft.emit(Event(EventKind.CRON, account, request.label))
            return record

        return await self._info(account, request.label, await self._commits.run(plan))

    async def deregister(self, account: str, label: str) -> None:
        """Remove a cron job; its jobs stay.

        Raises:
            CronNotFound: When the account has no such cron job; all methods below raise it, too.
        """
        key = layout.cron(account, label)

        async def plan(draft: Draft) -> None:
            _existing(await draft.fresh(key), label)
            draft.delete(key)

        await self._commits.run(plan)

    async def info(self, account: str, label: str) -> CronInfo:
        """Return what is known of a cron job."""
        record = _existing(await self._commits.view.fresh(layout.cron(account, label)), label)
        return await self._info(account, label, record)

    async def list(self, account: str) -> CronsListed:
        """Return the cron jobs of an account."""
        prefix = layout.cron(account)
        records = await self._commits.view.scan(prefix)
        labels = sorted(key.removeprefix(prefix) for key in records)
        found = [await self._info(account, each, records[prefix + each]) for each in labels]
        return CronsListed(crons=found)

    async def run(self, account: str, request: RunCronRequest) -> CronStarted:
        """Start a job of a cron job now, whatever its schedule."""
        key = layout.cron(account, request.label)
        record = _existing(await self._commits.view.fresh(key), request.label)
        jid = await self._started(account, request.label, record, request.submit_id)
        await self._commits.run(
            partial(_change, key=key, seen=record, changes={"last_jid": jid, "last_due_at": 0.0})
        )
        return CronStarted(jid=jid)

    async def start_due(self, key: str, now: float, since: float) -> float | None:
        """Submit the job of a cron job that is due.

        Args:
            key: The key of its record.
            now: The time.
            since: Since when due times have been looked for: those long before it were missed.

        Returns:
            When it is due next; None if there is no such cron job any longer.

        Raises:
            Unavailable: When the job cannot be submitted now; it stays due.
            AccountBusy: Likewise.
        """
        record: CronRecord | None = await self._commits.view.fresh(key)
        if record is None or record.next_at > now:
            return record.next_at if record else None
        account, label = key.removeprefix(CronRecord.prefix).split("/")
        due = _times(record).due(record.next_at, now)
        changes: dict[str, object] = {"next_at": due.next, "problem": ""}
        if due.last < since - GRACE_S and record.schedule.missed == "skip":
            changes["missed"] = record.missed + due.count
        else:
            changes["missed"] = record.missed + due.count - 1
            changes |= await self._start_one(account, label, record, due.last)
        await self._commits.run(partial(_change, key=key, seen=record, changes=changes))
        return due.next

    async def _start_one(
        self, account: str, label: str, record: CronRecord, due_at: float
    ) -> dict[str, object]:
        """Submit the job for a due time; return what changes in the record."""
        submit_id = _id(account, label, record.job.submit_id, due_at)
        overlap = record.schedule.overlap
        last = await self._last_status(account, record) if overlap != "allow" else ""
        if last and last not in ENDED:
            if overlap == "skip":
                return {"skipped": record.skipped + 1}
            await self._kill.kill(account, [(record.last_jid, record.last_jid)])
        try:
            jid = await self._started(account, label, record, submit_id)
        except (Unavailable, AccountBusy):
            raise
        except PiCloudError as error:
            # As when a volume was deleted that the job names: the next run may work again.
            return {"problem": error.message, "last_due_at": due_at}
        return {"last_jid": jid, "last_due_at": due_at}

    async def _started(self, account: str, label: str, record: CronRecord, submit_id: str) -> int:
        options = replace(record.job.options, label=record.job.options.label or label)
        job = replace(record.job, submit_id=submit_id, options=options)
        fingerprint = blake2b(encode(job), digest_size=16).digest()
        submitted = await self._submit.submit(account, job, fingerprint, parent=f"cron {label}")
        return submitted.first

    async def _last_status(self, account: str, record: CronRecord) -> str:
        """Return the status of the last job; "" if there was none, or it was deleted."""
        return await self._status.of_one(account, record.last_jid) if record.last_jid else ""

    async def _info(self, account: str, label: str, record: CronRecord) -> CronInfo:
        return CronInfo(
            label=label,
            schedule=record.schedule,
            function_name=record.job.function_name,
            created_at=record.created_at,
            next_at=_times(record).following(max(self._clock(), record.next_at - 1), _SHOWN),
            last_jid=record.last_jid,
            last_due_at=record.last_due_at,
            last_status=await self._last_status(account, record),
            missed=record.missed,
            skipped=record.skipped,
            problem=record.problem,
        )


async def _change(draft: Draft, key: str, seen: CronRecord, changes: dict[str, object]) -> None:
    """Change a record, unless the cron job was registered again or another process was first."""
    record: CronRecord | None = await draft.fresh(key)
    if record is None or record.job.submit_id != seen.job.submit_id:
        return
    if "next_at" in changes and record.next_at != seen.next_at:
        return
    draft.put(key, replace(record, **changes))


def _id(account: str, label: str, registration: str, due_at: float) -> str:
    """Return the submit id of the job for a due time."""
    text = f"{account}/{label}/{registration}/{due_at:.0f}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _times(record: CronRecord) -> Schedule:
    return Schedule(record.schedule.schedule, record.schedule.timezone)


def _existing(record: CronRecord | None, label: str) -> CronRecord:
    if record is None:
        raise CronNotFound(f"There is no cron job {label!r} in your account.", field="label")
    return record
