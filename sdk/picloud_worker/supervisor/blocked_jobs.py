"""The jobs of a slot that are blocked: they wait for other jobs, which the slot runs meanwhile.

A blocked job keeps its child; the jobs that this child had not started go back. When the job has
ended, its child becomes a spare one, for it has imported what such jobs need.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

from picloud_model.wire import MAX_BLOCKED_JOBS, BlockedOn

from picloud_worker.ipc.frames import BrokenFrameError
from picloud_worker.supervisor.lease import OutOfTurnError
from picloud_worker.system import memory
from picloud_worker.system.disk import write_log

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import AttemptRef, JobSocketRequest

    from picloud_worker.ipc.job_socket import JobSocket
    from picloud_worker.supervisor.child_process import ChildProcess
    from picloud_worker.supervisor.lease import HeldJobs
    from picloud_worker.supervisor.running_job import RunningJob

MOST_SPARES: Final = 2
BLOCKED_BYTES: Final = 16 * 1024 * 1024
"""The memory of a blocked child: half of it if its job imports little."""
_SHARE: Final = 0.7
"""The part of a slot's memory for its blocked children; the rest is for the one that runs."""
NEXT_BYTES: Final = 32 * 1024 * 1024
"""The memory that a slot must have left before another child may start next to blocked ones."""


def most_blocked(limit: int | None) -> int:
    """Return how many jobs may be blocked in a slot with a memory limit in bytes.

    >>> most_blocked(None), most_blocked(300 * 1024 * 1024)
    (32, 13)
    """
    if limit is None:
        return MAX_BLOCKED_JOBS
    return max(1, min(MAX_BLOCKED_JOBS, int(limit * _SHARE / BLOCKED_BYTES)))


def is_short(left_bytes: int | None) -> bool:
    """Whether the memory left is too little for one more child; None means no limit.

    >>> is_short(None), is_short(NEXT_BYTES), is_short(NEXT_BYTES - 1)
    (False, False, True)
    """
    return left_bytes is not None and left_bytes < NEXT_BYTES


def is_full(blocked: int, most: int, left_bytes: int | None) -> bool:
    """Whether a slot with blocked jobs may run no other job meanwhile.

    Args:
        blocked: The number of its blocked jobs.
        most: The most jobs that may be blocked.
        left_bytes: The memory left; None means no limit.

    >>> is_full(3, 13, None), is_full(3, 13, NEXT_BYTES), is_full(3, 13, NEXT_BYTES - 1)
    (False, False, True)
    """
    return blocked >= most or is_short(left_bytes)


def report_running_on(child: ChildProcess) -> None:
    """Report, in the log of the slot, a child whose last job runs on after its end was reported."""
    write_log(
        "a job ran on after it had reported its end; it is ended, with "
        f"{child.count_processes()} processes"
    )


class BlockedJobs:
    """The jobs that are or were blocked, oldest first, and the spare children.

    Args:
        held_jobs: The jobs of this slot.
        clock: Monotonic seconds.
    """

    def __init__(self, held_jobs: HeldJobs, clock: Callable[[], float]) -> None:
        self._held_jobs = held_jobs
        self._clock = clock
        self._jobs: list[RunningJob] = []
        self._spares: list[ChildProcess] = []
        self.changes = 0
        """Incremented when a job blocks, continues or ends."""
        self.changed_at = 0.0

    def __len__(self) -> int:
        return len(self._jobs)

    def __bool__(self) -> bool:
        return bool(self._jobs)

    @property
    def all_blocked(self) -> bool:
        """Whether there are jobs here and none of them runs again."""
        return bool(self._jobs) and all(job.awaiting is not None for job in self._jobs)

    def refs(self) -> tuple[AttemptRef, ...]:
        """Return the jobs here, blocked or running again."""
        return tuple(job.entry.ref for job in self._jobs)

    def blocked_on(self) -> tuple[BlockedOn, ...]:
        """Return what each blocked job waits for."""
        return tuple(
            BlockedOn(job.entry.ref, request.awaiting, request.timed)
            for job in self._jobs
            if (request := job.awaiting) is not None and request.awaiting is not None
        )

    def add(self, job: RunningJob, request: JobSocketRequest) -> None:
        """Take over a job that waits for others from now on."""
        job.awaiting = request
        self._jobs.append(job)
        self._changed()

    def of(self, job_socket: JobSocket) -> RunningJob | None:
        """Return the job here whose child has this socket."""
        return next((job for job in self._jobs if job.child.job_socket is job_socket), None)

    def find(self, ref: AttemptRef) -> RunningJob | None:
        """Return the job here with this reference."""
        return next((job for job in self._jobs if job.entry.ref == ref), None)

    def await_others(self, job: RunningJob, request: JobSocketRequest | None) -> None:
        """Record what a job here waits for; with None it runs again."""
        job.awaiting = request
        self._changed()

    def spare(self, bundle: str | None) -> ChildProcess | None:
        """Take the latest spare child of a bundle, or of any."""
        for child in reversed(self._spares):
            if bundle is None or child.bundle == bundle:
                self._spares.remove(child)
                return child
        return None

    def keep(self, child: ChildProcess) -> None:
        """Keep an idle child as a spare one; beyond `MOST_SPARES` the oldest is ended."""
        self._spares.append(child)
        if len(self._spares) > MOST_SPARES or is_short(memory.left_bytes()):
            self._spares.pop(0).end()

    def poll(self) -> None:
        """Collect what ended, and enforce the limits of the others."""
        for job in list(self._jobs):
            self._collect(job)
            if job in self._jobs:
                job.child.update_selector()
                job.child.bound_output()
                job.child.monitor.sample(job.child.started_job())
                job.enforce_limits(self._clock())
        for child in self._spares:
            self._drain(child)

    def end_busy_spares(self) -> None:
        """End the spare children that run something, although they have no job."""
        for child in [child for child in self._spares if not child.is_at_rest()]:
            report_running_on(child)
            self._spares.remove(child)
            child.end()

    def drop(self, job: RunningJob) -> None:
        """End a job that this slot has lost, without a report."""
        self._remove(job)
        self._held_jobs.drop(job.entry)
        job.child.end()

    def end_all(self) -> list[int]:
        """Kill the children of all jobs here, as the slot ends; return their indexes."""
        for job in self._jobs:
            job.child.signal(signal.SIGKILL)
        indexes = [job.child.index for job in self._jobs]
        self._jobs.clear()
        return indexes

    def child_exited(self, child_index: int, status: int) -> None:
        """Handle the exit of a child that is here, or was."""
        for job in [job for job in self._jobs if job.child.index == child_index]:
            self._collect(job)
            if job in self._jobs:
                self._remove(job)
                self._held_jobs.drop(job.entry)
                job.crash(self._held_jobs, status)
                job.child.close()
        for child in [child for child in self._spares if child.index == child_index]:
            self._spares.remove(child)
            child.close()

    def _collect(self, job: RunningJob) -> None:
        try:
            for done in job.child.collect():
                self._held_jobs.done(job.entry, done.generation, done.position, job.report(done))
                job.child.reported_at = self._clock()
                self._remove(job)
                if job.terminating is None:
                    self.keep(job.child)
                else:
                    job.child.end()
                return
        except (BrokenFrameError, OutOfTurnError):
            job.distrust(self._clock())

    def _drain(self, child: ChildProcess) -> None:
        """Notice that a spare child hung up; one that sends results is broken."""
        try:
            if any(True for _ in child.collect()):
                child.signal(signal.SIGKILL)
        except BrokenFrameError:
            child.signal(signal.SIGKILL)
        child.update_selector()

    def _remove(self, job: RunningJob) -> None:
        self._jobs.remove(job)
        self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self.changed_at = self._clock()
