"""Kills a running job: SIGTERM, SIGKILL a second later, and what is then reported about the job.

A job that runs over its time limit ends in the same way.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from typing import Final

import msgspec
from msgspec.structs import replace
from picloud_model.errors import RequestRefused
from picloud_model.pack import unseal
from picloud_model.wire import Failure, JobReport, decode

from picloud_worker.crash_trace import readable
from picloud_worker.failure import (
    exited,
    parcel,
    signalled,
    state_of,
    termination_failure,
    without_memory,
)
from picloud_worker.system import memory

TERMINATE_S: Final = 1.0
"""From SIGTERM to SIGKILL."""


class Termination(msgspec.Struct, frozen=True):
    """Why a running job is terminated, and when SIGKILL follows (monotonic seconds)."""

    why: Failure
    force_at: float

    def apply_to(self, report: JobReport) -> JobReport:
        """Return the report of a job that ended by itself after SIGTERM had reached its child.

        It names the reason of the termination, and keeps the traceback of the job.
        """
        try:
            failure = decode(bytes(unseal(report.payload)), Failure)
        except (msgspec.MsgspecError, RequestRefused):
            failure = self.why
        failure = termination_failure(failure, self.why)
        return replace(
            report,
            state=state_of(failure),
            cause=failure.cause,
            payload=parcel(failure),
            blob=None,
        )


def is_disconnected(report: JobReport) -> bool:
    """Whether a job failed as programs do whose files are served no longer."""
    with contextlib.suppress(msgspec.MsgspecError, RequestRefused):
        failure = decode(bytes(unseal(report.payload)), Failure)
        return os.strerror(errno.ENOTCONN) in f"{failure.message} {failure.traceback}"
    return False


def exit_failure(status: int, stderr: str, terminating: Termination | None) -> Failure:
    """Return why a job failed whose child exited.

    Args:
        status: The wait status of the child.
        stderr: The end of what the job wrote to stderr.
        terminating: Why the job was being terminated, if it was.
    """
    output = readable(stderr)
    if terminating is not None:
        return replace(terminating.why, traceback=output)
    if _was_oom_killed(status):
        return without_memory(output)
    if os.WIFSIGNALED(status):
        return signalled(os.WTERMSIG(status), output)
    return exited(os.waitstatus_to_exitcode(status), output)


def _was_oom_killed(status: int) -> bool:
    """Whether the kernel's OOM killer has struck since the last call, and ended this child."""
    has_struck = _oom_watch.has_struck()
    return has_struck and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


_oom_watch = memory.OomWatch()
