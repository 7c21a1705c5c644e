"""Ending a job that runs: why it was told to end, or its process did, and what it reports then."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace
from picloud_model.errors import RequestRefused
from picloud_model.job import Cause, State
from picloud_model.pack import unseal
from picloud_model.wire import Failure, JobReport, decode

from picloud_worker.crash_trace import readable
from picloud_worker.failure import exited, parcel, signalled, told_to_end, without_memory
from picloud_worker.supervisor.lease import Entry
from picloud_worker.system import memory

if TYPE_CHECKING:
    from picloud_worker.supervisor.child_process import ChildProcess


class Termination(msgspec.Struct, frozen=True):
    """A job that was told to end, why, and when it is ended by force (monotonic seconds)."""

    entry: Entry
    why: Failure
    force_at: float

    def apply_to(self, ended: JobReport) -> JobReport:
        """What is reported of it, wherever the word caught it."""
        try:
            said = decode(bytes(unseal(ended.payload)), Failure)
        except (msgspec.MsgspecError, RequestRefused):
            said = self.why
        failure = told_to_end(said, self.why)
        state = State.KILLED if self.why.cause == Cause.KILLED else State.ERROR
        return replace(ended, state=state, cause=failure.cause, payload=parcel(failure))


def exit_failure(child: ChildProcess, status: int, terminating: Termination | None) -> Failure:
    """Why the job is over that a child was in when it ended.

    Args:
        child: Which one.
        status: Its wait status.
        terminating: Why it was told to end that job, if it was.
    """
    output = readable(child.last_words())
    if terminating is not None:
        return replace(terminating.why, traceback=output)
    if _for_memory(status):
        return without_memory(output)
    if os.WIFSIGNALED(status):
        return signalled(os.WTERMSIG(status), output)
    return exited(os.waitstatus_to_exitcode(status), output)


def _for_memory(status: int) -> bool:
    """Whether the system ended a process since the last time for want of memory, and it is this."""
    noticed = _watch.noticed()
    return noticed and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


_watch = memory.Watch()
