"""The zygote: a process that has imported what a child needs, and forks children on request.

It is single-threaded and runs no user code, so that a fork is always safe and takes a millisecond.
It is the parent of all children: it reaps them, and kills what their jobs leave behind.
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
import time
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from picloud_worker.child.loop import ChildChannels, become
from picloud_worker.system import process_lifetime
from picloud_worker.zygote.shell_server import become_shell_server

if TYPE_CHECKING:
    from picloud_worker.ipc.scoreboard import Scoreboard
    from picloud_worker.system.user import User

REQUEST: Final = struct.Struct("<cBi")
"""Verb, child index, and the signal number, or for a fork the number of the job socket."""
EXIT: Final = struct.Struct("<Bi")
"""Child index and wait status of a child that has exited."""
FORK: Final = b"f"
SIGNAL: Final = b"s"
PRELOAD: Final = b"p"
SHELL: Final = b"x"
END_SHELLS: Final = b"e"
DESCRIPTORS: Final = 6
"""Sent with FORK: control, claims, results, stdout, stderr, log. With SHELL: a stream, an order."""
MOST_SHELLS: Final = 32
"""Shell servers of one slot at the same time."""
_REMOVALS: Final = 20
_REMOVAL_PAUSE_S: Final = 0.05
_OWN_MODE: Final = 0o700
NOT_FORKED: Final = 127 << 8
"""The wait status that stands for a failed fork."""


class ChildSetup(NamedTuple):
    """What all children have in common.

    Their directory, their user (None for that of the zygote), what the names of their job sockets
    start with, their virtual environment ("" for that of the zygote), and the interpreter of shell
    servers ("" as well).
    """

    home: str
    user: User | None
    socket_prefix: str
    environment: str = ""
    shell_python: str = ""


class Zygote:
    """The main loop of the zygote."""

    def __init__(
        self, supervisor: socket.socket, parent: int, scoreboard: Scoreboard, setup: ChildSetup
    ) -> None:
        self._supervisor = supervisor
        self._parent = parent
        self._scoreboard = scoreboard
        self._setup = setup
        self._child_indexes: dict[int, int] = {}
        self._volumes: dict[int, str] = {}
        """The directory for the volumes of each child, by its process id."""
        self._removers: set[int] = set()
        self._shells: dict[int, int] = {}
        """The index of the child whose job each shell server belongs to, by its process id."""
        self._open = True
        self._wakeup = os.pipe()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Fork, signal and reap children until the supervisor exits; then end everything."""
        for descriptor in self._wakeup:
            os.set_blocking(descriptor, False)
        reader, writer = self._wakeup
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(self._supervisor, selectors.EVENT_READ)
        self._selector.register(reader, selectors.EVENT_READ)
        while self._open or self._reap():
            ready = self._selector.select(None if self._open else 0.1)
            for key, _ in ready:
                if key.fileobj is self._supervisor:
                    self._handle_request()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(reader, 4096)
            if self._open and os.getppid() != self._parent:
                self._close()
            self._reap()

    def _handle_request(self) -> None:
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
        elif verb == SHELL:
            self._serve_shell(child_index, descriptors)
        elif verb == END_SHELLS:
            self._end_shells(child_index)
        else:
            for pid, index in self._child_indexes.items():
                if index == child_index:
                    _signal(pid, number)

    def _close(self) -> None:
        """End every child, since the supervisor has exited."""
        self._open = False
        self._selector.unregister(self._supervisor)
        for pid in (*self._child_indexes, *self._shells):
            _signal(pid, signal.SIGKILL)

    def _fork(self, child_index: int, socket_number: int, descriptors: list[int]) -> None:
        zygote = os.getpid()
        name = socket_name(self._setup.socket_prefix, socket_number)
        try:
            pid = os.fork()
        except OSError:
            self._report_exit(child_index, NOT_FORKED)
            pid = -1
        if pid == 0:
            self._become_child(zygote, child_index, name, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._child_indexes[pid] = child_index
            self._volumes[pid] = volumes_folder(self._setup.home, name)

    def _become_child(
        self, zygote: int, child_index: int, name: str, descriptors: list[int]
    ) -> NoReturn:
        try:
            os.setsid()
            process_lifetime.adopt_orphans()
            process_lifetime.prefer_oom_kill()
            if self._setup.user:
                self._setup.user.become()
            # Last, for a change of user resets it.
            process_lifetime.set_parent_death_signal(zygote, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._selector.close()
            self._supervisor.close()
            for descriptor in self._wakeup:
                os.close(descriptor)
            control, claims, results, stdout, stderr, log = descriptors
            channels = ChildChannels(
                control=control,
                claims=claims,
                results=results,
                log=log,
                scoreboard=self._scoreboard,
                child_index=child_index,
                socket_name=name,
                volumes=volumes_folder(self._setup.home, name),
            )
            self._scoreboard.register(child_index, os.getpid())
            become(channels, (stdout, stderr), self._setup.home, self._setup.environment)
        finally:
            os._exit(1)

    def _serve_shell(self, child_index: int, descriptors: list[int]) -> None:
        """Start a shell server for the job of a child; its stream closes where that cannot be."""
        zygote = os.getpid()
        job = next((pid for pid, index in self._child_indexes.items() if index == child_index), 0)
        pid = -1
        if job and len(self._shells) < MOST_SHELLS:
            with contextlib.suppress(OSError):
                pid = os.fork()
        if pid == 0:
            try:
                setup = self._setup
                become_shell_server(zygote, job, descriptors, setup.user, setup.shell_python)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._shells[pid] = child_index

    def _end_shells(self, child_index: int) -> None:
        """End the shell servers of a child, whose job has ended; what they started ends with them.

        Not only their process groups, which a shell leaves: `_reap` kills what they leave behind.
        """
        for pid in [pid for pid, index in self._shells.items() if index == child_index]:
            _signal(pid, signal.SIGKILL)

    def _reap(self) -> bool:
        """Reap the processes that have exited; return whether others are left."""
        exits: list[tuple[int, int]] = []
        left: list[str] = []
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in self._child_indexes:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
                    exits.append((self._child_indexes.pop(pid), status))
                    left.append(self._volumes.pop(pid))
                    self._end_shells(exits[-1][0])
                self._shells.pop(pid, None)
                self._removers.discard(pid)
        except ChildProcessError:
            pass
        # The zygote has adopted the orphans of such a child: they must not outlive its jobs.
        remaining = process_lifetime.children()
        known = self._child_indexes.keys() | self._shells.keys() | self._removers
        for pid in remaining - known:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        removers = [self._remove(folder) for folder in left if os.path.lexists(folder)]
        self._removers.update(removers)
        for child_index, status in exits:
            self._report_exit(child_index, status)
        return bool(remaining or removers)

    def _remove(self, folder: str) -> int:
        """Start a process that removes a directory as the user of the children; return its id.

        If the system has no room for one, the directory is removed with that of the slot.
        """
        try:
            pid = os.fork()
        except OSError:
            return 0
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                if self._setup.user:
                    self._setup.user.become()
                remove_tree(folder)
            finally:
                os._exit(0)
        return pid

    def _report_exit(self, child_index: int, status: int) -> None:
        with contextlib.suppress(OSError):
            self._supervisor.send(EXIT.pack(child_index, status))


def _preload() -> None:
    """Import what jobs use that create jobs: children then share its memory, and start faster.

    Not at the start, for most slots never need it, and it takes 100 ms.
    """
    for name in ("cloud._client.client", "cloud._client.current_job", "cloud._http.connections"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def _signal(pid: int, number: int) -> None:
    """Signal a child that has not been reaped, and its process group."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        os.kill(pid, number)  # just forked, it does not lead its group yet


def socket_name(prefix: str, number: int) -> str:
    """Return the name of a job socket; the random prefix keeps those of slots apart.

    >>> socket_name("ab", 3)
    'ab-3'
    """
    return f"{prefix}-{number}"


def volumes_folder(home: str, name: str) -> str:
    """Return the directory for the volumes of the child that has a job socket of this name.

    >>> volumes_folder("/work/home", "ab-3")
    '/work/home/.picloud-volumes-ab-3'
    """
    return f"{home}/.picloud-volumes-{name}"


def remove_tree(folder: str) -> None:
    """Remove a directory with all that is in it, also where its modes forbid that."""
    import shutil  # noqa: PLC0415 - few slots have volumes

    for _ in range(_REMOVALS):
        for above, names, _ in os.walk(folder):
            for each in (".", *names):
                path = os.path.join(above, each)  # noqa: PTH118
                if not os.path.islink(path):  # noqa: PTH114
                    with contextlib.suppress(OSError):
                        os.chmod(path, _OWN_MODE)  # noqa: PTH101
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        # A process of the job may not have ended yet.
        time.sleep(_REMOVAL_PAUSE_S)


def become_zygote(
    supervisor: socket.socket, parent: int, scoreboard: Scoreboard, setup: ChildSetup
) -> NoReturn:
    """Turn a freshly forked process into the zygote and serve; never returns.

    Args:
        supervisor: The socket to the supervisor; every other descriptor from 3 on is closed.
        parent: The process id of the supervisor.
        scoreboard: Shared with the children.
        setup: What all children have in common.
    """
    try:
        keep = supervisor.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        # Not SIGKILL, for the zygote has to kill first what jobs have started.
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
    """Do nothing: that a signal wakes the loop is enough."""
