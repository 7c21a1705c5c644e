"""The jobs that a slot holds: where each is from its lease to the acknowledged report.

Pure rules without processes: events come in (leases arrive, a job ends, a child exits), decisions
go out.

    waiting --assign--> given --done--> ended --acknowledge--> forgotten
       ^                  |                         ^
       |                  +--block--> blocked --done+
       +---- take_back ---+      waiting --hand_back--> returned --acknowledge--> forgotten
"""

from __future__ import annotations

import re
from collections import deque
from itertools import groupby
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES, Envelope
from picloud_model.wire import AttemptRef, Content, Failure, JobReport, Lease, LeasedJob, Report

from picloud_worker.failure import killed, parcel, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from picloud_worker.ipc.scoreboard import StartedJob

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
REPORT_BYTES: Final = 2 * 1024 * 1024
"""The results in one request: the server takes more, but serves others in between."""

ENDINGS: Final = frozenset((State.DONE, State.ERROR, State.KILLED))
CAUSES: Final = frozenset(Cause)


class Entry(NamedTuple):
    """A job given to a child: `position` counts within the assignment `generation`."""

    generation: int
    position: int
    lease: Lease
    job: LeasedJob

    @property
    def ref(self) -> AttemptRef:
        """The name of this attempt for the server."""
        return ref_of(self.lease, self.job)


class PendingReport(NamedTuple):
    """What the next request reports; `complete` if nothing else has ended.

    `HeldJobs.acknowledge` takes it once the server has answered.
    """

    reports: list[Report]
    returned: list[AttemptRef]
    stopped: list[AttemptRef]
    ended: int
    complete: bool


class OutOfTurnError(Exception):
    """A child reported a job that it was not running."""


class HeldJobs:
    """The jobs that a slot holds.

    Args:
        envelope: The envelope of the results made here.
        clock: Seconds since the epoch.
    """

    def __init__(self, envelope: Envelope, clock: Callable[[], float]) -> None:
        self._envelope = envelope
        self._clock = clock
        self.waiting: deque[Lease] = deque()
        self.given: deque[Entry] = deque()
        self.blocked: list[Entry] = []
        self.returned: list[AttemptRef] = []
        self.stopped: list[AttemptRef] = []
        """Jobs that had begun and were ended with the slot."""
        self.ended: list[tuple[str, JobReport]] = []
        self.ended_bytes = 0
        self.takes_files = False
        """Whether children write large results to files of the server."""
        self._written: set[str] = set()
        """The digests of such results, until the server has them."""
        self.closing = False
        """Whether the slot is being ended from outside."""

    @property
    def idle(self) -> bool:
        """Whether no job waits or was given to the child."""
        return not self.given and not self.waiting

    @property
    def head(self) -> Entry | None:
        """The first of the jobs given to the child, which it runs or is to start."""
        return self.given[0] if self.given else None

    def take(self, leases: Iterable[Lease]) -> None:
        """Take leases that arrived."""
        self.waiting += [lease for lease in leases if lease.jobs]

    def assign(self, generation: int, most: int) -> list[Lease]:
        """Move the next jobs, of one bundle and at most `most`, from waiting to given.

        Leases that need other blobs than the first one wait for the next assignment. An announced
        lease is given alone; jobs that want an interpreter of their own do not follow others.
        """
        leases: list[Lease] = []
        while self.waiting and most and _may_follow(leases, self.waiting[0]):
            lease = self.waiting.popleft()
            if len(lease.jobs) > most:
                self.waiting.appendleft(replace(lease, jobs=lease.jobs[most:]))
                lease = replace(lease, jobs=lease.jobs[:most])
            most -= len(lease.jobs)
            leases.append(lease)
        jobs = [(lease, job) for lease in leases for job in lease.jobs]
        self.given += [Entry(generation, at, lease, job) for at, (lease, job) in enumerate(jobs)]
        return leases

    def block(self) -> Entry:
        """Move the first job given to the blocked ones, and return it."""
        entry = self.given.popleft()
        self.blocked.append(entry)
        return entry

    def done(self, entry: Entry, generation: int, position: int, report: JobReport) -> None:
        """Record that the child of a given or blocked job reported its end.

        Raises:
            OutOfTurnError: When the report is about another job, or about no end, or names a blob
                that children cannot have written.
        """
        if report.state not in ENDINGS or report.cause not in CAUSES:
            raise OutOfTurnError
        if report.blob is not None and not self._may_be_written(report, report.blob):
            raise OutOfTurnError
        if not isfinite(report.started_at + report.finished_at):
            raise OutOfTurnError
        reported = (generation, position, report.index, report.attempt)
        if reported != (*entry[:2], entry.job.index, entry.job.attempt):
            raise OutOfTurnError
        self.drop(entry)
        if report.blob is not None:
            self._written.add(report.blob.digest)
        self._add(entry.lease.batch, report)

    def _may_be_written(self, report: JobReport, blob: Content) -> bool:
        """Whether a child may have written a result to a file; the server looks whether it has."""
        if not self.takes_files or report.state != State.DONE or report.payload:
            return False
        is_named = _DIGEST.fullmatch(blob.digest) is not None and blob.data is None
        return is_named and blob.size > INLINE_BYTES

    def drop(self, entry: Entry) -> None:
        """Forget a blocked job, or the first of the jobs given, without a report."""
        if self.head is entry:
            self.given.popleft()
        else:
            self.blocked.remove(entry)

    def fail(
        self,
        batch: str,
        job: LeasedJob,
        failure: Failure,
        *,
        started_at: float = 0.0,
        info: Content | None = None,
        retry: bool = False,
    ) -> None:
        """Record the end of a job that no child reports; 0 as its start means now."""
        now = self._clock()
        report = JobReport(
            index=job.index,
            attempt=job.attempt,
            state=state_of(failure),
            cause=failure.cause,
            started_at=started_at or now,
            finished_at=now,
            payload=parcel(failure),
            info=info,
            retry=retry,
        )
        self._add(batch, report)

    def _add(self, batch: str, report: JobReport) -> None:
        self.ended.append((batch, report))
        self.ended_bytes += size_of(report)

    def take_back(self, count: int) -> None:
        """Let the last `count` jobs given, which the child has not started, wait again."""
        entries = [self.given.pop() for _ in range(min(count, len(self.given)))]
        self._wait_again(reversed(entries))

    def _wait_again(self, entries: Iterable[Entry]) -> None:
        groups = [list(group) for _, group in groupby(entries, key=lambda entry: id(entry.lease))]
        for group in reversed(groups):
            jobs = [entry.job for entry in group]
            self.waiting.appendleft(replace(group[0].lease, jobs=jobs))

    def running(self, started: StartedJob | None) -> Entry | None:
        """Return the job that the child runs, by what it recorded on the scoreboard."""
        head = self.head
        if started is None or head is None:
            return None
        return head if (started.generation, started.position) == head[:2] else None

    def child_exited(self, started: StartedJob | None, seen: Entry | None = None) -> Entry | None:
        """Return the job that its child was running at its exit; the others wait again.

        Args:
            started: The job that the child recorded last.
            seen: The job that was seen to run before, in case the child's record was changed.
        """
        victim = self.running(started)
        if victim is None and seen is not None and seen is self.head:
            victim = seen
        if victim is not None:
            self.given.popleft()
        self._wait_again(self.given)
        self.given.clear()
        return victim

    def hand_back(self) -> None:
        """Return every waiting job to the server."""
        self.returned += self._waiting_refs()
        self.waiting.clear()

    def stop_begun(self) -> None:
        """Hand back the jobs that had begun; their children have ended."""
        self.stopped += [entry.ref for entry in (*self.blocked, *self.given)]
        self.blocked.clear()
        self.given.clear()

    def refuse(self, lease: Lease, failure: Failure) -> None:
        """Fail each job of a waiting lease that cannot run here."""
        self.waiting.remove(lease)
        for job in lease.jobs:
            self.fail(lease.batch, job, failure)

    def kill(self, ref: AttemptRef) -> None:
        """End a job as killed if it waits here; the executor kills those that run."""
        job = self.forget(ref)
        if job is not None:
            self.fail(ref.batch, job, killed())

    def forget(self, ref: AttemptRef) -> LeasedJob | None:
        """Forget a job that waits here, without a report, and return it."""
        for at, lease in enumerate(self.waiting):
            if lease.batch != ref.batch:
                continue
            for job in lease.jobs:
                if (job.index, job.attempt) == (ref.index, ref.attempt):
                    others = [other for other in lease.jobs if other is not job]
                    if others:
                        self.waiting[at] = replace(lease, jobs=others)
                    else:
                        del self.waiting[at]
                    return job
        return None

    def refs(self) -> list[AttemptRef]:
        """Return the jobs that have not ended, in the order in which they are to run."""
        return [*(entry.ref for entry in (*self.blocked, *self.given)), *self._waiting_refs()]

    def _waiting_refs(self) -> list[AttemptRef]:
        return [ref_of(lease, job) for lease in self.waiting for job in lease.jobs]

    def refuse_reports(self, pending: PendingReport, failure: Failure) -> bool:
        """Let the jobs of a request that the server refuses end with a failure instead.

        Returns:
            False when the request reported no job, or such failures only.
        """
        replaced, payload = False, parcel(failure)
        for at, (_, report) in enumerate(self.ended[: pending.ended]):
            if report.payload != payload:
                refused = replace(
                    report,
                    state=state_of(failure),
                    cause=failure.cause,
                    payload=payload,
                    blob=None,
                    info=None,
                )
                self.settle(at, refused)
                replaced = True
        return replaced

    def large(self) -> Sequence[tuple[int, JobReport]]:
        """Return the reports that are too large to send inline, with their places for `settle`.

        So are those whose results were written to files, until the server has these.
        """
        if self.ended_bytes <= INLINE_BYTES and not self._written:
            return ()
        return [
            (at, report)
            for at, (_, report) in enumerate(self.ended)
            if size_of(report) > INLINE_BYTES
            or (report.blob is not None and report.blob.digest in self._written)
        ]

    def settle(self, at: int, report: JobReport) -> None:
        """Replace a large report by one whose large parts were uploaded."""
        batch, before = self.ended[at]
        self.ended_bytes += size_of(report) - size_of(before)
        if before.blob is not None:
            self._written.discard(before.blob.digest)
        self.ended[at] = (batch, report)

    def pending_report(self) -> PendingReport:
        """Return what to report to the server now, in the order in which it happened."""
        reports: list[Report] = []
        size = count = 0
        for batch, report in self.ended:
            size += size_of(report)
            if size > REPORT_BYTES and count:
                break
            if not reports or reports[-1].batch != batch:
                reports.append(Report(batch, self._envelope, []))
            reports[-1].ended.append(report)
            count += 1
        return PendingReport(
            reports=reports,
            returned=list(self.returned),
            stopped=list(self.stopped),
            ended=count,
            complete=count == len(self.ended),
        )

    def acknowledge(self, pending: PendingReport) -> None:
        """Forget what a request has reported, once the server has answered it."""
        self.ended_bytes -= sum(size_of(report) for _, report in self.ended[: pending.ended])
        del self.ended[: pending.ended]
        del self.returned[: len(pending.returned)]
        del self.stopped[: len(pending.stopped)]


def _may_follow(leases: Sequence[Lease], lease: Lease) -> bool:
    """Whether a child may be given a lease together with others."""
    if not leases:
        return True
    first = leases[0]
    if lease.options.needs_own_process != first.options.needs_own_process:
        return False
    if not set(_digests(lease)).issubset(_digests(first)):  # only those of the first are fetched
        return False
    return lease.bundle == first.bundle and not (lease.announced or first.announced)


def ref_of(lease: Lease, job: LeasedJob) -> AttemptRef:
    """Return the name for the server of an attempt of a job."""
    return AttemptRef(lease.batch, job.index, job.attempt)


def size_of(report: JobReport) -> int:
    """Return the bytes of the result and the info that travel in a report."""
    info = report.info
    return len(report.payload) + (len(info.data or b"") if info is not None else 0)


def _digests(lease: Lease) -> list[str]:
    return [content.digest for content in blobs_of(lease)]


def blobs_of(lease: Lease) -> list[Content]:
    """Return the blobs that a lease names."""
    functions = [lease.function] if lease.function.data is None else []
    return [*functions, lease.pack.content] if lease.pack is not None else functions
