"""The leases a slot holds: where each job is between the server's answer and our last report.

Pure rules, no processes: events in (leases came, a job ended, a child died), decisions out.

    waiting --assign--> given --done--> ended --acknowledge--> gone
       ^                  |                         ^
       |                  +--set_aside--> aside ----+
       +---- take_back ---+      waiting --hand_back--> returned --acknowledge--> gone
"""

from __future__ import annotations

from collections import deque
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES, Envelope
from picloud_model.wire import AttemptRef, Content, Failure, JobReport, Lease, LeasedJob, Report

from picloud_worker.failure import killed, parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from picloud_worker.ipc.scoreboard import StartedJob

REPORT_BYTES: Final = 2 * 1024 * 1024
"""Results in one request; the server takes more, but answers others in between."""

ENDINGS: Final = frozenset((State.DONE, State.ERROR, State.KILLED))
CAUSES: Final = frozenset(Cause)


class Entry(NamedTuple):
    """A job that was given to a child: `position` counts within the assignment `generation`."""

    generation: int
    position: int
    lease: Lease
    job: LeasedJob

    @property
    def held(self) -> AttemptRef:
        """Its name to the server."""
        return AttemptRef(self.lease.batch, self.job.index, self.job.attempt)


class PendingReport(NamedTuple):
    """What the next request says; `HeldJobs.acknowledge` takes it when the server has answered."""

    reports: list[Report]
    returned: list[AttemptRef]
    ended: int
    complete: bool


class OutOfTurnError(Exception):
    """A child spoke of a job that it was not running."""


class HeldJobs:
    """The jobs a slot holds.

    Args:
        envelope: Of the results made here.
        clock: Seconds since the epoch.
    """

    def __init__(self, envelope: Envelope, clock: Callable[[], float]) -> None:
        self._envelope = envelope
        self._clock = clock
        self.waiting: deque[Lease] = deque()
        self.given: deque[Entry] = deque()
        self.aside: list[Entry] = []
        self.returned: list[AttemptRef] = []
        self.ended: list[tuple[str, JobReport]] = []
        self.ended_bytes = 0

    @property
    def idle(self) -> bool:
        """Whether there is no job left that has not ended."""
        return not self.given and not self.waiting

    def take(self, leases: Iterable[Lease]) -> None:
        """Leases came."""
        self.waiting += [lease for lease in leases if lease.jobs]

    def assign(self, generation: int, most: int) -> list[Lease]:
        """The next jobs for a child, all of one bundle, at most `most`; they are given now."""
        leases: list[Lease] = []
        while (
            self.waiting and most and self.waiting[0].bundle == (leases or self.waiting)[0].bundle
        ):
            lease = self.waiting.popleft()
            if len(lease.jobs) > most:
                self.waiting.appendleft(replace(lease, jobs=lease.jobs[most:]))
                lease = replace(lease, jobs=lease.jobs[:most])
            most -= len(lease.jobs)
            leases.append(lease)
        jobs = [(lease, job) for lease in leases for job in lease.jobs]
        self.given += [Entry(generation, at, lease, job) for at, (lease, job) in enumerate(jobs)]
        return leases

    def done(self, generation: int, position: int, ended: JobReport) -> None:
        """A child says how a job ended.

        Raises:
            OutOfTurnError: When it is not the job's turn.
        """
        if not self.given or ended.state not in ENDINGS or ended.cause not in CAUSES:
            raise OutOfTurnError
        entry = self.given[0]
        _check_turn(entry, generation, position, ended)
        self.given.popleft()
        self._add(entry.lease.batch, ended)

    def set_aside(self) -> Entry:
        """The job at the head stays with its child, which is not given others."""
        entry = self.given.popleft()
        self.aside.append(entry)
        return entry

    def aside_done(self, entry: Entry, generation: int, position: int, ended: JobReport) -> None:
        """A child that was set aside says how its job ended. Raises as `done`."""
        if ended.state not in ENDINGS or ended.cause not in CAUSES:
            raise OutOfTurnError
        _check_turn(entry, generation, position, ended)
        self.aside.remove(entry)
        self._add(entry.lease.batch, ended)

    def end(
        self,
        batch: str,
        job: LeasedJob,
        failure: Failure,
        started_at: float,
        info: Content | None = None,
    ) -> None:
        """A job ends without a child saying so."""
        state = State.KILLED if failure.cause == Cause.KILLED else State.ERROR
        ended = JobReport(
            index=job.index,
            attempt=job.attempt,
            state=state,
            cause=failure.cause,
            started_at=started_at or self._clock(),
            finished_at=self._clock(),
            payload=parcel(failure),
            info=info,
        )
        self._add(batch, ended)

    def _add(self, batch: str, ended: JobReport) -> None:
        self.ended.append((batch, ended))
        self.ended_bytes += size_of(ended)

    def take_back(self, count: int) -> None:
        """The last `count` jobs given were not begun, and will not be by that child."""
        entries = [self.given.pop() for _ in range(min(count, len(self.given)))]
        self._wait_again(reversed(entries))

    def _wait_again(self, entries: Iterable[Entry]) -> None:
        groups = [list(group) for _, group in groupby(entries, key=lambda entry: id(entry.lease))]
        for group in reversed(groups):
            jobs = [entry.job for entry in group]
            self.waiting.appendleft(replace(group[0].lease, jobs=jobs))

    def running(self, begun: StartedJob | None) -> Entry | None:
        """The job that a child is in, given what it noted on the scoreboard."""
        if begun is None or not self.given:
            return None
        entry = self.given[0]
        return entry if (begun.generation, begun.position) == entry[:2] else None

    def child_ended(self, begun: StartedJob | None) -> Entry | None:
        """A child is gone: answers the job that went with it, the others wait again."""
        victim = self.running(begun)
        if victim is not None:
            self.given.popleft()
        self._wait_again(self.given)
        self.given.clear()
        return victim

    def hand_back(self) -> None:
        """Every job not given goes back to the server."""
        for lease in self.waiting:
            self.returned += [AttemptRef(lease.batch, job.index, job.attempt) for job in lease.jobs]
        self.waiting.clear()

    def refuse(self, lease: Lease, failure: Failure) -> None:
        """A lease cannot be run here: each of its jobs ends with the same failure."""
        self.waiting.remove(lease)
        for job in lease.jobs:
            self.end(lease.batch, job, failure, 0.0)

    def kill(self, held: AttemptRef) -> None:
        """End a job as killed if it waits here; the caller sees to one that runs."""
        job = self.forget(held)
        if job is not None:
            self.end(held.batch, job, killed(), 0.0)

    def forget(self, held: AttemptRef) -> LeasedJob | None:
        """Drop a job that waits here without a word; answers it if there was one."""
        for at, lease in enumerate(self.waiting):
            if lease.batch != held.batch:
                continue
            for job in lease.jobs:
                if (job.index, job.attempt) == (held.index, held.attempt):
                    rest = [other for other in lease.jobs if other is not job]
                    if rest:
                        self.waiting[at] = replace(lease, jobs=rest)
                    else:
                        del self.waiting[at]
                    return job
        return None

    def held(self) -> list[AttemptRef]:
        """The jobs not ended, in the order they are to run."""
        names = [entry.held for entry in (*self.aside, *self.given)]
        for lease in self.waiting:
            names += [AttemptRef(lease.batch, job.index, job.attempt) for job in lease.jobs]
        return names

    def settle(self, at: int, ended: JobReport) -> None:
        """Replace what is to be said of an ended job, whose result went elsewhere."""
        batch, before = self.ended[at]
        self.ended_bytes += size_of(ended) - size_of(before)
        self.ended[at] = (batch, ended)

    def large(self) -> Sequence[tuple[int, JobReport]]:
        """Ended jobs that do not travel inline as a whole, with their places for `settle`."""
        if self.ended_bytes <= INLINE_BYTES:
            return ()
        return [
            (at, ended) for at, (_, ended) in enumerate(self.ended) if size_of(ended) > INLINE_BYTES
        ]

    def draft(self) -> PendingReport:
        """What to tell the server now, in the order it happened."""
        reports: list[Report] = []
        size = count = 0
        for batch, ended in self.ended:
            size += size_of(ended)
            if size > REPORT_BYTES and count:
                break
            if not reports or reports[-1].batch != batch:
                reports.append(Report(batch, self._envelope, []))
            reports[-1].ended.append(ended)
            count += 1
        return PendingReport(reports, list(self.returned), count, count == len(self.ended))

    def acknowledge(self, draft: PendingReport) -> None:
        """The server has taken a draft."""
        self.ended_bytes -= sum(size_of(ended) for _, ended in self.ended[: draft.ended])
        del self.ended[: draft.ended]
        del self.returned[: len(draft.returned)]


def size_of(ended: JobReport) -> int:
    """The bytes of what a job left that travel with its report."""
    info = ended.info
    return len(ended.payload) + (len(info.data or b"") if info is not None else 0)


def _check_turn(entry: Entry, generation: int, position: int, ended: JobReport) -> None:
    job = entry.job
    told = (generation, position, ended.index, ended.attempt)
    if told != (*entry[:2], job.index, job.attempt):
        raise OutOfTurnError
