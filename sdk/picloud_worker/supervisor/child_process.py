"""A child as the supervisor sees it: the jobs it is given, the results it sends, its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Final

from picloud_worker.ipc.claims import Claims
from picloud_worker.ipc.frames import LARGEST, Assignment, BrokenFrameError, Frames, JobDone, frame
from picloud_worker.ipc.job_socket import JobSocket
from picloud_worker.supervisor.info import JobMonitor
from picloud_worker.supervisor.output import Output
from picloud_worker.system import disk, memory, procfs
from picloud_worker.system.kernel import kernel_log, traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from picloud_worker.ipc.job_socket import JobSocketListener
    from picloud_worker.ipc.scoreboard import StartedJob
    from picloud_worker.zygote.client import ZygoteClient

_CHUNK: Final = 256 * 1024
ASK_S: Final = 0.2
"""How long a child without a job is left alone before it is asked whether it waits for one."""
ANSWER_S: Final = 0.6
"""How long its answer may take, which is ready within a millisecond."""
MOST_IDLE_CPU: Final = 0.2
"""The part of a core that a child without a job may use: an honest one uses nothing."""
_WAKE_UPS: Final = 16
"""Reads of a child's wake-ups in one turn, each of up to 4096: a child that floods its supervisor
with them must not keep it from anything else."""
STALLED_S: Final = 10.0
"""How long the rest of a frame may take to arrive; a child sends it in one piece."""


class ChildProcess:
    """One child process. It runs the code of one bundle, that of its first assignment."""

    def __init__(
        self,
        zygote: ZygoteClient,
        directory: Path,
        selector: selectors.BaseSelector,
        listener: JobSocketListener,
        clock: Callable[[], float],
    ) -> None:
        self._zygote = zygote
        self._selector = selector
        self.job_socket = JobSocket(zygote.next_socket_name(), selector, listener, zygote.uid)
        self._control, theirs = socket.socketpair()
        self._control.settimeout(0)
        self._claims = Claims()
        self._results, writer = os.pipe()
        os.set_blocking(self._results, False)
        self._frames = Frames(JobDone, _largest_frame(memory.limit_bytes()))
        self._unsent = bytearray()
        self._outputs = (Output(directory), Output(directory), Output(directory))
        home = directory / "home"
        self.monitor = JobMonitor(
            self.pid,
            self._outputs,
            clock,
            disk=partial(disk.used_bytes, home),
            traffic=traffic.read if disk.is_apart(home) else lambda: None,
            system_log=kernel_log.lines_about,
        )
        self.bundle: str | None = None
        self.generation = 0
        self.on_close: list[Callable[[], None]] = []
        """Called when its job has ended; they unmount the volumes of the job."""
        self.losses = 0
        """How many mounts the slot had lost when the child was assigned its jobs."""
        self._hung_up = False
        self._clock = clock
        self._received_at = 0.0
        self.reported_at = 0.0
        """When it reported the end of a job last."""
        self._asked_at: float | None = None
        self._is_resting = False
        self._resting_since = self._cpu_s = 0.0
        descriptors = [theirs.fileno(), self._claims.reader, writer]
        descriptors += [output.descriptor for output in self._outputs]
        self.index = zygote.fork(descriptors)
        theirs.close()
        os.close(writer)
        selector.register(self._control, selectors.EVENT_READ)

    def assign(self, assignment: Assignment) -> None:
        """Send jobs; those of the assignment before must have ended or been taken back."""
        self._asked_at = None
        jobs = sum(len(lease.jobs) for lease in assignment.leases)
        if not self._claims.offer(jobs, assignment.generation):
            self.signal(signal.SIGKILL)  # nothing was claimed: another child gets the jobs
            return
        self._unsent += frame(assignment)
        self.push()

    def push(self) -> None:
        """Send what did not fit into the socket before."""
        # The exit of a child is noticed through the zygote.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                del self._unsent[: self._control.send(self._unsent)]

    def update_selector(self) -> None:
        """Choose the events to wait for: mostly only the child's wake-ups."""
        selector = self._selector
        is_reading = self._results in selector.get_map()
        if self._frames.partial and not is_reading:  # the rest follows at once
            selector.register(self._results, selectors.EVENT_READ)
        elif is_reading and not self._frames.partial:
            selector.unregister(self._results)
        if not self._hung_up:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
            if selector.get_key(self._control).events != events:
                selector.modify(self._control, events)
        elif self._control in selector.get_map():
            selector.unregister(self._control)

    def take_back(self) -> int:
        """Withdraw the jobs that are not started, and return their number."""
        return self._claims.take_back()

    def started_job(self) -> StartedJob | None:
        """Return the job that it started last."""
        return self._zygote.scoreboard.started_job(self.index)

    def collect(self) -> Iterator[JobDone]:
        """Yield the jobs that have ended, in the order in which they ran; does not wait.

        Raises:
            BrokenFrameError: When the child sends anything else; it has to be ended then.
        """
        with contextlib.suppress(BlockingIOError, ConnectionError):
            for _ in range(_WAKE_UPS):
                if self._hung_up:
                    break
                self._hung_up = not self._control.recv(4096)
                self._is_resting = self._asked_at is not None
        received = False
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._results, _CHUNK):
                received = True
                yield from self._frames.feed(data)
        if self._frames.partial:
            self._check_progress(received=received)

    def _check_progress(self, *, received: bool) -> None:
        now = self._clock()
        if received:
            self._received_at = now
        elif now - self._received_at > STALLED_S:
            raise BrokenFrameError("the rest of a frame does not arrive")

    def is_at_rest(self) -> bool:
        """Whether a child that has no job waits for one; called now and then while it has none.

        A job can report its own end and run on. So the child is sent an assignment without jobs,
        after which an honest one wakes the supervisor, and its use of the CPU is watched.
        """
        now = self._clock()
        if self.bundle is None or self._hung_up or now - self.reported_at < ASK_S:
            return True
        if self._asked_at is None:
            self._asked_at, self._is_resting = now, False
            self._resting_since = 0.0
            self._unsent += frame(Assignment(self.generation, "", []))
            self.push()
            return True
        if not self._is_resting:
            return now - self._asked_at < ANSWER_S
        usage = procfs.read(self.pid())
        if usage is None:
            return True
        since, before = self._resting_since, self._cpu_s
        self._resting_since, self._cpu_s = now, usage.cpu_s
        return not since or usage.cpu_s - before <= MOST_IDLE_CPU * max(now - since, ASK_S)

    def count_processes(self) -> int:
        """Return how many processes there are of it: itself and its descendants."""
        return procfs.count(self.pid())

    def bound_output(self) -> None:
        """Keep the files of its output small."""
        for output in self._outputs:
            output.bound()

    def last_stderr(self) -> str:
        """Return the end of what its job wrote to stderr."""
        return self._outputs[1].tail()

    def terminate(self) -> None:
        """End its job with SIGTERM, which it tells from one that comes from anywhere else."""
        self._zygote.scoreboard.terminate(self.index)
        self.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group."""
        self._zygote.signal(self.index, number)

    def end(self) -> None:
        """Kill it with all that it started."""
        self.signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close its files and sockets."""
        for handle in self.on_close:
            handle()
        for source in (self._control, self._results):
            if source in self._selector.get_map():
                self._selector.unregister(source)
        self.job_socket.close()
        self._control.close()
        self._claims.close()
        os.close(self._results)
        for output in self._outputs:
            output.close()

    def pid(self) -> int:
        """Return its process id; 0 until it is known."""
        return self._zygote.scoreboard.pid(self.index)


def _largest_frame(limit_bytes: int | None) -> int:
    """Return the longest frame to accept in a slot with this memory; None for no limit.

    The supervisor holds a frame in the memory that the job has, too: one of more than half of it
    would end the supervisor instead of the job.

    >>> _largest_frame(None) == LARGEST, _largest_frame(1000)
    (True, 500)
    """
    return LARGEST if limit_bytes is None else min(LARGEST, limit_bytes // 2)
