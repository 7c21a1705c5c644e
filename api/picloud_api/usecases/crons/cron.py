"""Cron: jobs that run on a schedule.

Exactly one job is submitted for each due time, even if several processes do it, or one does it
again: its submit id is made of the registration and the due time.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import (
    AccountBusy,
    CronNotFound,
    PiCloudError,
    RequestConflict,
    TooLarge,
    Unavailable,
    missing_name,
)
from picloud_model.job import ENDED
from picloud_model.wire import encode
from picloud_model.wire.cron import (
    MAX_CRONS,
    CronInfo,
    CronsListed,
    CronStarted,
)

from picloud_api.engine.process.removal import is_repeated
from picloud_api.store import layout
from picloud_api.store.commits import CommitGroup
from picloud_api.store.records import CronRecord, Event, EventKind
from picloud_api.usecases.crons.schedule import due_times, next_times, times_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire import Submitted
    from picloud_model.wire.cron import RegisterCronRequest, RunCronRequest

    from picloud_api.engine.process.context import Context
    from picloud_api.store.commits import Commit
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.jobs.status import JobStatuses
    from picloud_api.usecases.jobs.submit import Announcement, SubmitJobs

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
        self._turns = context.turns
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
        times = times_of(request.schedule)
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
            next_at = times.after(now)
            if earlier is not None and earlier.schedule == request.schedule:
                # What is due, and was not started yet, is started with what is registered now.
                is_due = now - GRACE_S <= earlier.next_at <= now
                next_at = earlier.next_at if is_due else next_at
            record = CronRecord(schedule=request.schedule, job=job, created_at=now, next_at=next_at)
            draft.put(key, record)
            draft.emit(Event(EventKind.CRON, account, request.label))
            return record

        return await self._info(account, request.label, await self._commits.run(plan))

    async def deregister(self, account: str, label: str, request_id: str | None = None) -> None:
        """Remove a cron job; its jobs stay. A repeated request changes nothing.

        Raises:
            CronNotFound: When the account has no such cron job; all methods below raise it, too.
        """
        key = layout.cron(account, label)

        async def plan(draft: Draft) -> None:
            if await is_repeated(draft, account, request_id):
                return
            await self._existing(await draft.fresh(key), account, label)
            draft.delete(key)

        await self._commits.run(plan)

    async def info(self, account: str, label: str) -> CronInfo:
        """Return what is known of a cron job."""
        found = await self._commits.view.fresh(layout.cron(account, label))
        record = await self._existing(found, account, label)
        return await self._info(account, label, record)

    async def list(self, account: str) -> CronsListed:
        """Return the cron jobs of an account."""
        prefix = layout.cron(account)
        records = await self._commits.view.scan(prefix)
        labels = sorted(key.removeprefix(prefix) for key in records)
        last = [record.last_jid for record in records.values() if record.last_jid]
        statuses = await self._status.of_each(account, last)
        listed: list[CronInfo] = []
        now = self._clock()
        async with self._turns.of(account) as turn:
            for label in labels:
                record = records[prefix + label]
                listed.append(_shown(label, record, statuses.get(record.last_jid, ""), now))
                await turn.pause()
        return CronsListed(crons=listed)

    async def run(self, account: str, request: RunCronRequest) -> CronStarted:
        """Start a job of a cron job now, whatever its schedule."""
        key = layout.cron(account, request.label)
        found = await self._commits.view.fresh(key)
        record = await self._existing(found, account, request.label)
        change = _Change(key, record, {"last_due_at": 0.0})
        jid = await self._started(change, request.submit_id, self._commits.run)
        if not change.is_committed:
            await self._commits.run(change)
        return CronStarted(jid=jid)

    async def start_due(
        self, keys: Sequence[str], now: float, since: float
    ) -> Sequence[float | PiCloudError | None]:
        """Submit the jobs of cron jobs that are due, in one transaction if they fit into it.

        Args:
            keys: The keys of their records.
            now: The time.
            since: Since when due times have been looked for: those long before it were missed.

        Returns:
            For each of them when it is due next; None if there is no such cron job any longer;
            the reason if its job cannot be submitted now: then it stays due.
        """
        await self._commits.view.refresh(keys)
        group = CommitGroup(self._commits, len(keys))

        async def start(key: str) -> float | PiCloudError | None:
            with group.member() as commit:
                try:
                    return await self._start(key, now, since, commit)
                except PiCloudError as error:
                    return error

        return await asyncio.gather(*map(start, keys))

    async def _start(self, key: str, now: float, since: float, commit: Commit) -> float | None:
        """Submit the job of a cron job that is due; return when it is due next.

        Raises:
            Unavailable: When the job cannot be submitted now; it stays due.
            AccountBusy: Likewise.
        """
        record: CronRecord | None = await self._commits.view.get(key)
        if record is None or record.next_at > now:
            return record.next_at if record else None
        due = due_times(record.schedule, record.next_at, now)
        missed = record.missed + due.count
        change = _Change(key, record, {"next_at": due.next, "problem": "", "missed": missed})
        if due.last >= since - GRACE_S or record.schedule.missed == "run":
            change.values["missed"] = missed - 1
            await self._start_one(change, due.last, commit)
        if not change.is_committed:
            await commit(change)
        return due.next

    async def _start_one(self, change: _Change, due_at: float, commit: Commit) -> None:
        """Submit the job for a due time, with the change of the record or before it."""
        record, account, label = change.seen, change.account, change.label
        overlap = record.schedule.overlap
        last = await self._last_status(account, record) if overlap != "allow" else ""
        if last and last not in ENDED:
            if overlap == "skip":
                change.values["skipped"] = record.skipped + 1
                return
            await self._kill.kill(account, [(record.last_jid, record.last_jid)])
        change.values["last_due_at"] = due_at
        submit_id = _id(account, label, record.job.submit_id, due_at)
        try:
            await self._started(change, submit_id, commit)
        except (Unavailable, AccountBusy):
            raise
        except PiCloudError as error:
            # As when a volume was deleted that the job names: the next run may work again.
            change.values["problem"] = error.message

    async def _started(self, change: _Change, submit_id: str, commit: Commit) -> int:
        """Submit a job, and change the record in the same transaction if it has room for both."""
        stored, label = change.seen.job, change.label
        options = replace(stored.options, label=stored.options.label or label)
        job = replace(stored, submit_id=submit_id, options=options)
        fingerprint = blake2b(encode(job), digest_size=16).digest()

        async def commit_both(plan: Announcement) -> tuple[Submitted, int]:
            async def still_due(draft: Draft) -> tuple[Submitted, int]:
                if "next_at" in change.values and await change.current(draft) is None:
                    raise Unavailable("The cron job was registered again just now.")
                return await plan(draft)

            async def both(draft: Draft) -> tuple[Submitted, int]:
                planned = await still_due(draft)
                change.values["last_jid"] = planned[0].first
                await change(draft)
                return planned

            try:
                planned = await commit(both)
            except TooLarge:
                # Both hold the arguments, and each has room for them once.
                return await commit(still_due)
            change.is_committed = True
            return planned

        parent = f"cron {label}"
        submitted = await self._submit.submit(
            change.account, job, fingerprint, parent=parent, commit=commit_both
        )
        change.values["last_jid"] = submitted.first
        return submitted.first

    async def _existing(self, record: CronRecord | None, account: str, label: str) -> CronRecord:
        if record is None:
            labels = await self._commits.view.names(layout.cron(account))
            raise CronNotFound(missing_name("cron job", label, labels), field="label")
        return record

    async def _last_status(self, account: str, record: CronRecord) -> str:
        """Return the status of the last job; "" if there was none, or it was deleted."""
        return await self._status.of_one(account, record.last_jid) if record.last_jid else ""

    async def _info(self, account: str, label: str, record: CronRecord) -> CronInfo:
        return _shown(label, record, await self._last_status(account, record), self._clock())


class _Change:
    """A change of a record, unless it was registered again or another process was first.

    Attributes:
        seen: The record as it was read.
        values: What changes.
        is_committed: Whether the change is committed.
    """

    def __init__(self, key: str, seen: CronRecord, values: dict[str, object]) -> None:
        self._key = key
        self.account, self.label = key.removeprefix(CronRecord.prefix).split("/")
        self.seen = seen
        self.values = values
        self.is_committed = False

    async def current(self, draft: Draft) -> CronRecord | None:
        """Return the record, unless this change must not be made."""
        record: CronRecord | None = await draft.get(self._key)
        if record is None or record.job.submit_id != self.seen.job.submit_id:
            return None
        if "next_at" in self.values and record.next_at != self.seen.next_at:
            return None
        return record

    async def __call__(self, draft: Draft) -> None:
        """Plan it."""
        record = await self.current(draft)
        if record is not None:
            draft.put(self._key, replace(record, **self.values))


def _shown(label: str, record: CronRecord, last_status: str, now: float) -> CronInfo:
    return CronInfo(
        label=label,
        schedule=record.schedule,
        function_name=record.job.function_name,
        created_at=record.created_at,
        next_at=next_times(record.schedule, max(now, record.next_at - 1), _SHOWN),
        last_jid=record.last_jid,
        last_due_at=record.last_due_at,
        last_status=last_status,
        missed=record.missed,
        skipped=record.skipped,
        problem=record.problem,
    )


def _id(account: str, label: str, registration: str, due_at: float) -> str:
    """Return the submit id of the job for a due time."""
    text = f"{account}/{label}/{registration}/{due_at:.0f}"
    return blake2b(text.encode(), digest_size=16).hexdigest()
