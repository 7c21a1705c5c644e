"""Children as the supervisor sees them: what it gives one, what comes back, how one is ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from typing import TYPE_CHECKING, Final

from picloud_worker.ipc.claims import Claims
from picloud_worker.ipc.frames import Assignment, Frames, JobDone, frame
from picloud_worker.supervisor.info import JobMonitor
from picloud_worker.supervisor.job_socket import JobSocket
from picloud_worker.supervisor.output import Output

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from picloud_worker.ipc.scoreboard import StartedJob
    from picloud_worker.supervisor.job_socket import Listener
    from picloud_worker.zygote.client import ZygoteClient

_CHUNK: Final = 256 * 1024


class ChildProcess:
    """One child process. It runs the code of one bundle; the first assignment decides which."""

    def __init__(
        self,
        zygote: ZygoteClient,
        directory: Path,
        selector: selectors.BaseSelector,
        listener: Listener,
        clock: Callable[[], float],
    ) -> None:
        self._zygote = zygote
        self._selector = selector
        self.line = JobSocket(zygote.next_line(), selector, listener, zygote.uid)
        self.control, theirs = socket.socketpair()
        self.control.settimeout(0)
        self._claims = Claims()
        self.results, writer = os.pipe()
        os.set_blocking(self.results, False)
        self._frames = Frames(JobDone)
        self._unsent = bytearray()
        self.outputs = (Output(directory), Output(directory), Output(directory))
        self.monitor = JobMonitor(self, clock)
        self.bundle: str | None = None
        self.generation = 0
        self.hung_up = False
        descriptors = (theirs.fileno(), self._claims.reader, writer)
        self.child_index = zygote.fork(
            (*descriptors, *(output.descriptor for output in self.outputs))
        )
        theirs.close()
        os.close(writer)
        selector.register(self.control, selectors.EVENT_READ)

    def give(self, assignment: Assignment) -> None:
        """Hand over jobs; none of an earlier assignment may be open."""
        self._claims.offer(
            sum(len(lease.jobs) for lease in assignment.leases), assignment.generation
        )
        self._unsent += frame(assignment)
        self.push()

    def push(self) -> None:
        """Send on what the child has not taken yet."""
        # A child that is gone is told by the zygote.
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            while self._unsent:
                del self._unsent[: self.control.send(self._unsent)]

    @property
    def pushing(self) -> bool:
        """Whether there is more to send."""
        return bool(self._unsent)

    @property
    def partial(self) -> bool:
        """Whether a result has arrived in part: the rest follows at once."""
        return self._frames.partial

    def listen(self) -> None:
        """Choose what the supervisor waits for of this child: mostly only to be woken."""
        selector = self._selector
        listed = self.results in selector.get_map()
        if self.partial and not listed:
            selector.register(self.results, selectors.EVENT_READ)
        elif listed and not self.partial:
            selector.unregister(self.results)
        if not self.hung_up:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.pushing else 0)
            if selector.get_key(self.control).events != events:
                selector.modify(self.control, events)
        elif self.control in selector.get_map():
            selector.unregister(self.control)

    def take_back(self) -> int:
        """Withdraw the jobs not begun; answers how many there were."""
        return self._claims.take_back()

    def begun(self) -> StartedJob | None:
        """The job it began last."""
        return self._zygote.scoreboard.begun(self.child_index)

    def collect(self) -> Iterator[JobDone]:
        """Jobs that ended since the last time, in the order they ran; does not wait.

        Raises:
            BrokenFrameError: When what arrives is no result; such a child has to be ended.
        """
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while not self.hung_up:
                self.hung_up = not self.control.recv(4096)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.results, _CHUNK):
                yield from self._frames.feed(data)

    def bound_output(self) -> None:
        """Keep the files of its output small."""
        for output in self.outputs:
            output.bound()

    @property
    def pid(self) -> int:
        """Its process id; 0 as long as that is not known."""
        return self._zygote.scoreboard.pid(self.child_index)

    def last_words(self) -> str:
        """The end of what its job wrote to stderr."""
        return self.outputs[1].tail()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group."""
        self._zygote.signal(self.child_index, number)

    def close(self) -> None:
        """Let go of its files and sockets."""
        for source in (self.control, self.results):
            if source in self._selector.get_map():
                self._selector.unregister(source)
        self.line.close()
        self.control.close()
        self._claims.close()
        os.close(self.results)
        for output in self.outputs:
            output.close()
