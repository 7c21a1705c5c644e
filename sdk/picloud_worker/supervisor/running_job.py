"""A job that a child has started, and the rules that hold for it until it ends.

They are the same for the job that runs and for those that are blocked until other jobs end.
"""

from __future__ import annotations

import signal
import time
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.wire import VolumesMounted

from picloud_worker.failure import bucket_lost, interfered, over_time
from picloud_worker.supervisor.kill import (
    TERMINATE_S,
    Termination,
    exit_failure,
    is_disconnected,
)
from picloud_worker.supervisor.lease import OutOfTurnError
from picloud_worker.tunnel.shell_order import ShellPlace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_model.wire import (
        BucketMounted,
        Failure,
        Info,
        JobReport,
        JobSocketRequest,
    )

    from picloud_worker.ipc.frames import JobDone
    from picloud_worker.mount.bucket_mount import BucketMount
    from picloud_worker.supervisor.child_process import ChildProcess
    from picloud_worker.supervisor.lease import Entry, HeldJobs

ABORT_S: Final = 2.0
"""How long a job may take to end after SIGKILL, before what serves its bucket is ended."""
TOGETHER_S: Final = 0.1
"""How much later than its child the supervisor may learn that the system ends both."""


def reported(child: ChildProcess, done: JobDone) -> JobReport:
    """Return the report of a job whose child says that it ended.

    Raises:
        OutOfTurnError: When the child sends an info, which only the supervisor makes.
    """
    report = done.report
    if report.info is not None:
        raise OutOfTurnError
    info = child.monitor.ended(done.generation, done.position, done.stats)
    if info.content is None:
        return report
    return replace(report, info=info.content, printed=info.printed)


class RunningJob:
    """A job in its child.

    Args:
        child: The child that runs the job.
        entry: The job.
        began_at: When it was first seen to run, in monotonic seconds.
        bucket: The mount of the slot.
    """

    def __init__(
        self, child: ChildProcess, entry: Entry, began_at: float, bucket: BucketMount
    ) -> None:
        self.child = child
        self.entry = entry
        self.began_at = began_at
        self.terminating: Termination | None = None
        self.awaiting: JobSocketRequest | None = None
        """The jobs that it waits for; None while it runs."""
        self._bucket = bucket
        self.uses_bucket = False
        """Whether it has asked where the bucket is mounted."""
        self._losses = child.losses

    def mount(self, volumes: Mapping[str, str] | None) -> BucketMounted | VolumesMounted:
        """Mount the bucket for the job, or its volumes at mount paths given by their names."""
        if volumes is None:
            self.uses_bucket = True
            return self._bucket.reply()
        from picloud_worker.zygote.process import volumes_folder  # noqa: PLC0415 - few jobs have some

        child, mounts = self.child, self._bucket.volumes()
        if not volumes.keys() <= set(self.entry.lease.options.vols):
            return VolumesMounted(reason="they are not volumes of the job")
        folder = volumes_folder(str(mounts.home), child.job_socket.name)
        directories = {path: f"{folder}/{name}" for name, path in volumes.items()}
        answer = mounts.mount(directories)
        if answer.ready:
            child.on_close.append(partial(mounts.unmount, list(directories)))
        return answer

    def time_left(self, now: float) -> float:
        """Return the seconds until the time limit; infinite without one, or once terminated."""
        limit_s = self.entry.lease.options.max_runtime_s
        if limit_s is None or self.terminating is not None:
            return inf
        return self.began_at + limit_s - now

    def terminate(self, why: Failure, now: float) -> None:
        """Send SIGTERM, unless the job is being terminated already."""
        if self.terminating is None:
            self.terminating = Termination(why, now + TERMINATE_S)
            self.child.terminate()

    def distrust(self, now: float) -> None:
        """End the job at once, because its process sent something other than results."""
        if self.terminating is None:
            self.terminating = Termination(interfered(), now)
        self.child.signal(signal.SIGKILL)

    def enforce_limits(self, now: float) -> None:
        """Terminate the job if it is over its time limit or has lost its files.

        SIGKILL it if SIGTERM did not help. A process that waits for a file of a stopped mount does
        not even end by that: then end the mount.
        """
        if self._has_lost_files():
            self.terminate(bucket_lost(), now)
        limit_s = self.entry.lease.options.max_runtime_s
        if limit_s is not None and self.time_left(now) <= 0:
            self.terminate(over_time(limit_s), now)
        if self.terminating is not None and now >= self.terminating.force_at:
            self.child.signal(signal.SIGKILL)
            server = self._bucket.server
            if server is not None and now >= self.terminating.force_at + ABORT_S:
                server.abort()

    def _has_lost_files(self) -> bool:
        """Whether a mount was lost that the job uses, since this was last checked."""
        since, self._losses = self._losses, len(self._bucket.losses)
        if since == self._losses:
            return False
        return self.uses_bucket or self._bucket.has_lost_files(self.child.pid(), since)

    def _lost_files(self, report: JobReport) -> bool:
        """Whether the job failed because a mount was lost, which may be noticed after its error."""
        if not (self._bucket.is_used and is_disconnected(report)):
            return False
        return self._bucket.losses_noticed() > self._losses

    def report(self, done: JobDone) -> JobReport:
        """Return the report of the job, whose child says that it ended; raises as `reported`."""
        report = reported(self.child, done)
        if report.state == State.ERROR and self.terminating is None and self._lost_files(report):
            self.terminating = Termination(bucket_lost(), 0.0)
        if self.terminating is not None and report.state != State.DONE:
            report = self.terminating.apply_to(report)
        return report

    def crash(self, held_jobs: HeldJobs, status: int) -> None:
        """Record that the job ended with its child, which exited with a wait status.

        A job that ended together with its slot is handed back. One whose child alone was killed is
        run again once, unless it went past its memory limit.
        """
        if self.terminating is None and status in (signal.SIGTERM, signal.SIGKILL):
            time.sleep(TOGETHER_S)
            if held_jobs.closing:
                held_jobs.stopped.append(self.entry.ref)
                return
        started = self.child.started_job()
        failure = exit_failure(status, self.child.last_stderr(), self.terminating)
        held_jobs.fail(
            self.entry.lease.batch,
            self.entry.job,
            failure,
            started_at=started.started_at if started else 0.0,
            info=self.child.monitor.crashed(started, lacked_memory=failure.cause == Cause.MEMORY),
            retry=status == signal.SIGKILL and failure.cause == Cause.SIGNAL,
        )

    def live(self, since: Mapping[str, int]) -> Info | None:
        """Return what can be seen of the job now, or of its streams from some offsets on."""
        started = self.child.started_job()
        return None if started is None else self.child.monitor.live(started, since)

    def shell_place(self) -> ShellPlace:
        """Return where shells of the job run, with the variables that the child sets for it."""
        lease = self.entry.lease
        variables = {
            **lease.options.os_env_vars,
            "PICLOUD_RUNNING": "1",
            "PICLOUD_JID": str(lease.first + self.entry.job.index),
            "PICLOUD_LINE": self.child.job_socket.name,
        }
        return ShellPlace(self.child.index, variables)
