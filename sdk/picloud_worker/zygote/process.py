"""The zygote: a process that has imported what a child needs, and forks children on request.

It is single-threaded and runs no user code, so that a fork is always safe and takes a millisecond.
It is the parent of all children: it reaps them, and ends what their jobs left behind.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from picloud_worker.child.loop import ChildChannels, become
from picloud_worker.system import process_lifetime

if TYPE_CHECKING:
    from picloud_worker.ipc.scoreboard import Scoreboard
    from picloud_worker.system.user import User

REQUEST: Final = struct.Struct("<cBi")
"""Verb, child index, signal number; to fork, the number of the child's line in its place."""
NEWS: Final = struct.Struct("<Bi")
"""Child index, wait status: a child has ended."""
FORK: Final = b"f"
SIGNAL: Final = b"s"
PRELOAD: Final = b"p"
DESCRIPTORS: Final = 6
"""Sent along with FORK: control, claims, results, stdout, stderr, log."""
NOT_FORKED: Final = 127 << 8
"""Wait status of a child that could not be made."""


class ChildSetup(NamedTuple):
    """How children live: in which directory, as whom if not as the zygote's own user.

    What the names of their lines begin with is `lines`.
    """

    home: str
    user: User | None
    lines: str


class Zygote:
    """The loop of the zygote."""

    def __init__(
        self, supervisor: socket.socket, parent: int, scoreboard: Scoreboard, setup: ChildSetup
    ) -> None:
        self._supervisor = supervisor
        self._parent = parent
        self._scoreboard = scoreboard
        self._setup = setup
        self._child_indexes: dict[int, int] = {}
        self._open = True
        self._woken = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Fork, signal and reap until the supervisor is gone; then end everything."""
        for descriptor in self._woken:
            os.set_blocking(descriptor, False)
        reader, writer = self._woken
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(self._supervisor, selectors.EVENT_READ)
        self._selector.register(reader, selectors.EVENT_READ)
        while self._open or self._reap():
            ready = self._selector.select(None if self._open else 0.1)
            for key, _ in ready:
                if key.fileobj is self._supervisor:
                    self._hear()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(reader, 4096)
            if self._open and os.getppid() != self._parent:
                self._close()
            self._reap()

    def _hear(self) -> None:
        try:
            request, descriptors, _, _ = socket.recv_fds(
                self._supervisor, REQUEST.size, DESCRIPTORS
            )
        except OSError:
            request, descriptors = b"", []
        if len(request) < REQUEST.size:
            self._close()
            return
        verb, child_index, number = REQUEST.unpack(request)
        if verb == FORK:
            self._fork(child_index, number, descriptors)
        elif verb == PRELOAD:
            _preload()
        else:
            for pid, held in self._child_indexes.items():
                if held == child_index:
                    _signal(pid, number)

    def _close(self) -> None:
        """The supervisor is gone: nothing of the slot stays."""
        self._open = False
        self._selector.unregister(self._supervisor)
        for pid in self._child_indexes:
            _signal(pid, signal.SIGKILL)

    def _fork(self, child_index: int, line: int, descriptors: list[int]) -> None:
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            self._tell(child_index, NOT_FORKED)
            pid = -1
        if pid == 0:
            self._become_child(me, child_index, line, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._child_indexes[pid] = child_index

    def _become_child(
        self, zygote: int, child_index: int, line: int, descriptors: list[int]
    ) -> NoReturn:
        try:
            os.setsid()
            process_lifetime.adopt_orphans()
            process_lifetime.prefer_oom_kill()
            if self._setup.user:
                self._setup.user.become()
            # After it: a change of user calls this off.
            process_lifetime.set_parent_death_signal(zygote, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._selector.close()
            self._supervisor.close()
            for descriptor in self._woken:
                os.close(descriptor)
            control, claims, results, *outputs = descriptors
            name = line_name(self._setup.lines, line)
            channels = ChildChannels(
                control, claims, results, outputs[2], self._scoreboard, child_index, name
            )
            self._scoreboard.enter(child_index, os.getpid())
            become(channels, (outputs[0], outputs[1]), self._setup.home)
        finally:
            os._exit(1)

    def _reap(self) -> bool:
        """Wait for every process that ended; answers whether any is left."""
        ended: list[tuple[int, int]] = []
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in self._child_indexes:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    ended.append((self._child_indexes.pop(pid), status))
        except ChildProcessError:
            pass
        # Orphans of a child that ended are ours now: they may not outlive its jobs.
        left = process_lifetime.children()
        for pid in left - self._child_indexes.keys():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child_index, status in ended:
            self._tell(child_index, status)
        return bool(left)

    def _tell(self, child_index: int, status: int) -> None:
        with contextlib.suppress(OSError):
            self._supervisor.send(NEWS.pack(child_index, status))


def _preload() -> None:
    """Import what jobs use that make jobs: children then share its memory, and begin sooner.

    Not at the start: most slots never need it, and it would cost each of them 100 ms.
    """
    for name in ("cloud._client.current", "cloud._http.connections"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def _signal(pid: int, number: int) -> None:
    """Signal a child that has not been reaped, and its group."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)  # forked just now, and not yet the leader of its group


def line_name(lines: str, number: int) -> str:
    """What a child's line is called; `lines` is random, so that no other slot's is the same.

    >>> line_name("ab", 3)
    'ab-3'
    """
    return f"{lines}-{number}"


def become_zygote(
    supervisor: socket.socket, parent: int, scoreboard: Scoreboard, setup: ChildSetup
) -> NoReturn:
    """Turn a freshly forked process into the zygote and serve; never returns.

    Args:
        supervisor: Socket to the supervisor; every other descriptor from 3 on is closed.
        parent: Process id of the supervisor.
        scoreboard: Shared memory for the children.
        setup: How children live.
    """
    try:
        keep = supervisor.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        # Not SIGKILL: the zygote has to end first what jobs have started.
        signal.signal(signal.SIGTERM, _nothing)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        process_lifetime.set_parent_death_signal(parent, signal.SIGTERM)
        process_lifetime.adopt_orphans()
        gc.collect()
        gc.freeze()
        Zygote(supervisor, parent, scoreboard, setup).serve()
    finally:
        os._exit(0)


def _nothing(*_: object) -> None:
    """Handle a signal by waking up, which is all that is needed."""
