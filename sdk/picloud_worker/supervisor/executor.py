"""The executor: runs the jobs of a slot in children, and enforces their limits."""

from __future__ import annotations

import selectors
import signal
from math import inf
from typing import TYPE_CHECKING, Final

from picloud_model.crashpoints import crashpoint

from picloud_worker.failure import killed
from picloud_worker.ipc.claims import MOST
from picloud_worker.ipc.frames import Assignment, BrokenFrameError
from picloud_worker.supervisor.blocked_jobs import BlockedJobs, report_running_on
from picloud_worker.supervisor.child_process import ChildProcess
from picloud_worker.supervisor.lease import OutOfTurnError
from picloud_worker.supervisor.running_job import RunningJob, reported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from picloud_model.wire import (
        AttemptRef,
        BucketMounted,
        Info,
        JobGrant,
        JobSocketRequest,
        LiveQuery,
        VolumesMounted,
    )
    from picloud_model.wire.info import Progress

    from picloud_worker.ipc.frames import JobDone, Provision
    from picloud_worker.ipc.job_socket import JobSocket
    from picloud_worker.mount.bucket_mount import BucketMount
    from picloud_worker.supervisor.lease import Entry, HeldJobs
    from picloud_worker.zygote.client import ZygoteClient

NEVER_STARTED_S: Final = 10.0
"""How long a child may take to start its first job."""
NOT_NEXT_S: Final = 1.0
"""How long a child that has reported a job may take to start the next one."""
STOP_S: Final = 1.0
"""How long children may take to exit after SIGKILL."""
MOST_FAILED_CHILDREN: Final = 3
"""Children that exit before they start any job, after which this machine counts as broken."""


class ChildrenFailError(Exception):
    """Children cannot run here."""


class SlotExecutor:
    """Keeps one child at work; children of blocked jobs exist in addition.

    Args:
        held_jobs: The jobs of this slot.
        zygote: Forks the children.
        directory: For the output of children.
        clock: Monotonic seconds.
        sign: Makes the token of a job that asks for it.
        mount: Mounts the bucket for a job that asks for it.
    """

    def __init__(
        self,
        held_jobs: HeldJobs,
        zygote: ZygoteClient,
        directory: Path,
        clock: Callable[[], float],
        sign: Callable[[Entry], JobGrant],
        *,
        mount: BucketMount,
    ) -> None:
        self._held_jobs = held_jobs
        self._zygote = zygote
        self._directory = directory
        self._clock = clock
        self._sign = sign
        self._mount = mount
        self.blocked_jobs = BlockedJobs(held_jobs, clock)
        self._failed_children = 0
        self._head_since = 0.0
        self._running: RunningJob | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(zygote, selectors.EVENT_READ)
        mount.use(self.selector)
        self._child = self._new_child()

    def assign(self, provide: Callable[[], Provision]) -> None:
        """Give waiting jobs to the child if it is idle.

        Another bundle gets another child, and so does a job that needs a process of its own.

        Raises:
            PiCloudError: From `provide`, which fetches what the first waiting lease needs.
        """
        held_jobs = self._held_jobs
        if held_jobs.given or not held_jobs.waiting:
            return
        self._retire_terminated()
        self._mount.notice()
        provision = provide()
        first = held_jobs.waiting[0]
        bundle = first.bundle
        self._choose_child(bundle, unused=first.options.needs_own_process)
        self._handle_exits()
        child = self._child
        child.bundle = bundle
        child.generation += 1
        child.losses = len(self._mount.losses)
        leases = held_jobs.assign(child.generation, MOST)
        child.bound_output()
        child.assign(Assignment.of(child.generation, leases, provision))
        self._head_since = self._clock()

    def _choose_child(self, bundle: str, *, unused: bool) -> None:
        """Use a child for this bundle: a new one if it must have run no job before."""
        child = self._child
        if child.bundle == bundle and not unused:
            return
        spare = None if unused else self.blocked_jobs.spare(bundle)
        if child.bundle is None and spare is None:
            return
        # Where jobs wait for others, those of both bundles follow each other again and again.
        if child.bundle is None or (self.blocked_jobs.changes and not unused):
            self.blocked_jobs.keep(child)
        else:
            child.end()
        self._use(spare or self._new_child())

    def poll(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for an event of the children, and handle it.

        Raises:
            ZygoteLostError: When there is no zygote any longer.
            ChildrenFailError: When children exit without ever starting a job.
        """
        self._child.update_selector()
        for key, _ in self.selector.select(max(0.0, timeout_s)):
            if key.data is not None:
                key.data()
        self._child.push()
        self._collect()
        self.settle()
        self._check_child()
        self.blocked_jobs.poll()
        if not self._held_jobs.given:
            self._check_rest()

    def watch_idle(self) -> None:
        """Look after the children while the slot waits for jobs.

        Raises:
            ZygoteLostError: When there is no zygote any longer.
        """
        self._collect()
        self._check_rest()

    def _check_rest(self) -> None:
        """Replace the child if it has no job and yet does not wait for one."""
        if not self._child.is_at_rest():
            report_running_on(self._child)
            self._replace_child()
        self.blocked_jobs.end_busy_spares()

    def grant(self, job_socket: JobSocket) -> JobGrant | None:
        """Return the token of the job whose child has this socket; None if it runs no job."""
        job = self._job_at(job_socket)
        return None if job is None else self._sign(job.entry)

    def mount(
        self, job_socket: JobSocket, volumes: Mapping[str, str] | None
    ) -> BucketMounted | VolumesMounted | None:
        """Return where the bucket is mounted for a job, or whether these volumes of it are."""
        job = self._job_at(job_socket)
        return None if job is None else job.mount(volumes)

    def progress(self, job_socket: JobSocket, progress: Progress) -> None:
        """Note how far the job whose child has this socket says it is."""
        if (job := self._job_at(job_socket)) is not None:
            job.child.monitor.note(job.child.started_job(), progress)

    def _job_at(self, job_socket: JobSocket) -> RunningJob | None:
        job = self.blocked_jobs.of(job_socket)
        if job is None and job_socket is self._child.job_socket:
            self._collect()
            job = self.running()
        return job

    def await_others(self, job_socket: JobSocket, request: JobSocketRequest | None) -> None:
        """Block the job of a child until other jobs end, so that the slot can run these."""
        blocked = self.blocked_jobs.of(job_socket)
        if blocked is not None:
            self.blocked_jobs.await_others(blocked, request)
            return
        if request is None or job_socket is not self._child.job_socket:
            return
        self.take_back()
        self._held_jobs.hand_back()
        job = self.running()
        if job is not None and job.terminating is None:
            self._zygote.preload()
            self._held_jobs.block()
            self.blocked_jobs.add(job, request)
            self._use(self.blocked_jobs.spare(None) or self._new_child())

    def settle(self) -> None:
        """Replace the child if it has exited, or if its job was terminated and has ended.

        Before a slot waits for jobs, too: a kill that arrives twice may collect the end of the job.
        Then no poll would follow, and what the job left running would live until the next job.

        Raises:
            ZygoteLostError: When there is no zygote any longer.
            ChildrenFailError: When children exit without ever starting a job.
        """
        self._handle_exits()
        self._retire_terminated()

    def _handle_exits(self) -> None:
        """Replace the child if it has exited, and end the blocked jobs of others that have."""
        for child_index, status in self._zygote.exits():
            if child_index == self._child.index:
                self._child_exited(status)
            else:
                self.blocked_jobs.child_exited(child_index, status)

    def head_age(self) -> float:
        """Return the seconds since the first unfinished job began, or was received; 0 for none."""
        return self._clock() - self._head_since if self._held_jobs.given else 0.0

    def _is_head_overdue(self) -> bool:
        """Whether the child takes too long to start the next job: the one before may run on."""
        reported_at = self._child.reported_at
        if not reported_at:
            return self.head_age() > NEVER_STARTED_S
        since = self._clock() - max(reported_at, self._head_since)
        return bool(self._held_jobs.given) and since > NOT_NEXT_S

    def time_left(self) -> float:
        """Return the seconds until the time limit of the running job; infinite without one."""
        job = self.running()
        return inf if job is None else job.time_left(self._clock())

    def running(self) -> RunningJob | None:
        """Return the job that the child runs, as far as its scoreboard shows."""
        entry = self._held_jobs.running(self._child.started_job())
        return None if entry is None else self._job_of(entry)

    def _job_of(self, entry: Entry) -> RunningJob:
        job = self._running
        if job is None or job.entry is not entry:
            self._head_since = self._clock()
            job = self._running = RunningJob(self._child, entry, self._head_since, self._mount)
            crashpoint("worker.begun")
        return job

    def live(self, query: LiveQuery) -> Info | None:
        """Return what can be seen of a job that runs here; None when it does not."""
        self._collect()
        return None if (job := self.find(query.job)) is None else job.live(query.since)

    def find(self, ref: AttemptRef) -> RunningJob | None:
        """Return an attempt of a job that runs here; None when it does not."""
        job = self.blocked_jobs.find(ref) or self.running()
        return job if job is not None and job.entry.ref == ref else None

    def take_back(self) -> None:
        """Withdraw the jobs that the child has not started; they wait here again."""
        self._collect()
        self._withdraw()

    def _withdraw(self) -> None:
        """Take back the jobs that the child has not claimed, never the one that was seen to run."""
        taken = self._child.take_back()
        held_jobs = self._held_jobs
        is_seen = self._running is not None and self._running.entry is held_jobs.head
        held_jobs.take_back(min(taken, len(held_jobs.given) - is_seen))

    def stop(self) -> None:
        """End every job that has begun, and hand all jobs back."""
        self.take_back()
        self._held_jobs.hand_back()
        children = [self._child.index] if self._held_jobs.given else []
        if children:
            self._child.signal(signal.SIGKILL)
        children += self.blocked_jobs.end_all()
        self._zygote.await_exits(children, STOP_S)
        self._held_jobs.stop_begun()

    def kill(self, ref: AttemptRef) -> None:
        """Kill a job for its user: terminate it if it runs, end it at once if it waits."""
        job = self.blocked_jobs.find(ref) or self._claimed(ref)
        if job is None:
            self._held_jobs.kill(ref)
        else:
            job.terminate(killed(), self._clock())

    def lose(self, ref: AttemptRef) -> None:
        """End a job that no longer belongs to this slot, without a report."""
        job = self.blocked_jobs.find(ref) or self._claimed(ref)
        if job is None:
            self._held_jobs.forget(ref)
        elif job.child is self._child:
            self._held_jobs.drop(job.entry)
            self._replace_child()
        else:
            self.blocked_jobs.drop(job)

    def _claimed(self, ref: AttemptRef) -> RunningJob | None:
        """Return the job if the child has claimed it; whatever it has not, waits here again."""
        if not any(entry.ref == ref for entry in self._held_jobs.given):
            return None
        self.take_back()
        head = self._held_jobs.head
        return self._job_of(head) if head is not None and head.ref == ref else None

    def _new_child(self) -> ChildProcess:
        return ChildProcess(self._zygote, self._directory, self.selector, self, self._clock)

    def _use(self, child: ChildProcess) -> None:
        self._child = child
        self._running = None

    def _replace_child(self) -> None:
        """End the child with all that it started; the jobs given to it wait for a new one."""
        self._child.end()
        self._use(self._new_child())
        self._held_jobs.child_exited(None)

    def _collect(self) -> None:
        try:
            for done in self._child.collect():
                self._record(done)
        except (BrokenFrameError, OutOfTurnError):
            # The child is not to be trusted. Its job is charged when its exit is noticed.
            self._withdraw()
            head = self._held_jobs.head
            if head is None:
                self._child.signal(signal.SIGKILL)
            else:
                self._job_of(head).distrust(self._clock())

    def _record(self, done: JobDone) -> None:
        self._failed_children = 0
        entry = self._held_jobs.head
        if entry is None:
            raise OutOfTurnError
        job = self._running
        if job is not None and job.entry is entry:
            report = job.report(done)
        else:  # a quick job that was not seen to run
            crashpoint("worker.begun")
            report = reported(self._child, done)
        crashpoint("worker.ran")
        self._held_jobs.done(entry, done.generation, done.position, report)
        self._child.reported_at = self._head_since = self._clock()

    def _retire_terminated(self) -> None:
        """Replace a child whose job was terminated, once that job has ended."""
        job = self._running
        if job is None or job.terminating is None:
            return
        if job.entry is not self._held_jobs.head:
            self._replace_child()

    def _child_exited(self, status: int) -> None:
        child = self._child
        self._collect()
        started = child.started_job()
        seen = None if self._running is None else self._running.entry
        victim = self._held_jobs.child_exited(started, seen)
        if started is None and victim is None:
            self._failed_children += 1
            if self._failed_children >= MOST_FAILED_CHILDREN:
                raise ChildrenFailError
        if victim is not None:
            self._job_of(victim).crash(self._held_jobs, status)
        child.close()
        self._use(self._new_child())

    def _check_child(self) -> None:
        """Notice which job runs, and enforce its limits."""
        child = self._child
        child.monitor.sample(child.started_job())
        # The latest job may be terminated before the scoreboard shows that it has started.
        job = self.running() or self._running
        if job is not None and job.entry is self._held_jobs.head:
            now = self._clock()
            if job.time_left(now) <= 0:
                self.take_back()  # the child starts no other job, even if this one has just ended
            if job.entry is self._held_jobs.head:
                job.enforce_limits(now)
        elif self._is_head_overdue():
            child.signal(signal.SIGKILL)
        child.bound_output()
