"""Mounts buckets and volumes in containers of a machine: `python -m picloud_worker.mount.machine`.

A slot in a container asks through a socket in its directory of the scheduler, which no job can
open. The kernel says which process listens there, and so in which container to mount. A bucket
is served by a process of its own with the token of that slot, from the first request of a program
on; it outlives this process. A file in the directory tells the slot that this process runs.

Nothing that a slot sends is trusted: the supervisor may be a program of its image that a user has
changed. It gets what its container may have anyway, one mount at a time, in bounded time.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import select
import socket
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Self

from picloud_model.wire import BucketMounted

from picloud_worker.ipc.machine_socket import MARK
from picloud_worker.ipc.peer import peer_of
from picloud_worker.mount import container
from picloud_worker.mount.mount_server import SOCKET
from picloud_worker.mount.request import MOUNT_POINT, encoded, peek
from picloud_worker.mount.start import obstacle, start
from picloud_worker.system.new_files import NewFiles
from picloud_worker.volumes import request as volumes
from picloud_worker.volumes.binder import Binder

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from picloud_worker.mount.idle_mount import IdleMount

FOLDERS: Final = ("alloc", "bucket")
"""Where the directory for the socket is, below that of a slot."""
_REFUSED: Final = "The bucket cannot be mounted here: {}."
_ROOT: Final = 0
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC
_OWN: Final = Path("/proc/self/ns/mnt")
_MINUTE_S: Final = 60.0
_MOST_S: Final = 10.0
"""How much of a minute the requests of one slot may take of this process."""
_MOUNT_S: Final = 0.25
"""What a mount counts for, with the process that will serve it."""
_LAST_UID: Final = 2**31


class Machine:
    """Mounts what slots request, and ends the mounts with the slots.

    Args:
        slots: The directory that holds a directory for each slot.

    Raises:
        OSError: When that cannot be watched.
    """

    def __init__(self, slots: Path) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._ends: dict[Path, Callable[[], None]] = {}
        """What ends the request that came through a socket, which is replaced by the next one."""
        self._times: defaultdict[Path, float] = defaultdict(float)
        """How many seconds of this process the sockets have used since `_minute`."""
        self._minute = time.monotonic()
        self._looks = [
            partial(_each, NewFiles(slots, FOLDERS), _mark),
            self._watched(slots, SOCKET, self._await_mount),
            self._watched(slots, volumes.SOCKET, self._await_volumes),
        ]
        for look in self._looks:
            self._register(look.args[0].fileno(), select.EPOLLIN, look)

    def run(self) -> NoReturn:
        """Serve until this process is ended."""
        for look in self._looks:
            look()
        while True:
            turn = [(each, self._handlers.get(each)) for each, _ in self._epoll.poll()]
            for descriptor, handler in turn:
                # Another event of the same turn may have removed it, or put another in its place.
                if handler is not None and handler is self._handlers.get(descriptor):
                    handler()

    def _register(self, descriptor: int, events: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def _forget(self, descriptor: int) -> None:
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def _watched(self, slots: Path, name: str, begin: Callable[..., None]) -> partial[None]:
        """Return what handles new sockets of a name."""
        return partial(_each, NewFiles(slots, (*FOLDERS, name)), partial(self._connect, begin))

    def _connect(self, begin: Callable[..., None], path: Path) -> None:
        """Connect to a supervisor in a container, and wait for its request."""
        with self._timed(path), contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            folder = _opened(path.parent)
            stack.callback(os.close, folder)
            _connect(connection, path.name, folder)
            peer = peer_of(connection)
            assert peer is not None  # Linux says it
            slot = stack.enter_context(ContainerProcess.of(peer.pid))
            if peer.uid != _ROOT or slot.is_here():
                reason = "the request does not come from the supervisor of a container"
                _answer(connection, BucketMounted(reason=_REFUSED.format(reason)))
                return
            # The process may have ended, and its pid may be that of another one.
            if _has_ended(connection) or not slot.has(folder):
                return
            if end := self._ends.pop(path, None):
                end()
            stack.pop_all()
            os.close(folder)
            begin(path, connection, slot)

    def _await_mount(self, path: Path, supervisor: socket.socket, slot: ContainerProcess) -> None:
        mount = partial(self._mount, path, supervisor, slot)
        self._register(supervisor.fileno(), select.EPOLLIN, mount)

        def end() -> None:
            self._forget(supervisor.fileno())
            supervisor.close()
            slot.close()

        self._ends[path] = end

    def _await_volumes(self, path: Path, supervisor: socket.socket, slot: ContainerProcess) -> None:
        binder = Binder(os.dup(slot.mounts))
        slot.close()

        def end() -> None:
            self._ends.pop(path, None)
            self._forget(supervisor.fileno())
            supervisor.close()
            binder.close()

        self._ends[path] = end
        bind = partial(self._bind, path, supervisor, binder)
        self._register(supervisor.fileno(), select.EPOLLIN, bind)

    def _bind(self, path: Path, supervisor: socket.socket, binder: Binder) -> None:
        """Mount or unmount volumes, as a supervisor requests, until it ends."""
        try:
            answer = volumes.answer(supervisor, binder.handle)
        except OSError:
            self._ends[path]()
        else:
            _send(supervisor, answer)

    def _mount(self, path: Path, supervisor: socket.socket, slot: ContainerProcess) -> None:
        """Mount what a supervisor has requested; nothing serves it yet."""
        self._forget(supervisor.fileno())
        del self._ends[path]
        try:
            with self._timed(path):
                request = peek(supervisor)
                _check_machine()
                _check_owner(request.uid, request.gid)
                idle = container.mount(slot.mounts, (request.uid, request.gid))
                network = os.dup(slot.network)
        except OSError as error:
            _answer(supervisor, BucketMounted(reason=_REFUSED.format(error)))
            supervisor.close()
            return
        finally:
            slot.close()
        self._times[path] += _MOUNT_S
        _answer(supervisor, BucketMounted(path=MOUNT_POINT, ready=True, idle=True))
        end = self._ends[path] = partial(self._end, path, supervisor, idle, network)
        # Without any event the end of the peer is still reported.
        self._register(supervisor.fileno(), 0, end)
        serve = partial(self._serve, path, supervisor, idle, network)
        self._register(idle.device, select.EPOLLIN, serve)

    def _end(self, path: Path, supervisor: socket.socket, idle: IdleMount, network: int) -> None:
        """End a mount that nothing serves yet."""
        self._ends.pop(path, None)
        self._forget(supervisor.fileno())
        supervisor.close()
        self._forget(idle.device)
        idle.close()
        os.close(network)

    def _serve(self, path: Path, supervisor: socket.socket, idle: IdleMount, network: int) -> None:
        """Start what serves a mount, at the first request of a program."""
        self._forget(supervisor.fileno())
        self._forget(idle.device)
        del self._ends[path]
        try:
            if _has_ended(supervisor):
                raise ConnectionResetError
            inherited = (supervisor.fileno(), idle.device, network)
            options = ["--contained", "--network", str(network)]
            options += ["--device", str(idle.device), "--first", idle.first.hex()]
            process = start(supervisor.fileno(), options, inherited)
            self._watch(path, process, supervisor)
        except OSError:  # the machine may lack memory, too
            supervisor.close()
        finally:
            idle.close()  # the mount now ends with that process, if there is one
            os.close(network)

    def _watch(
        self, path: Path, process: subprocess.Popen[bytes], supervisor: socket.socket
    ) -> None:
        """Kill a process whose supervisor has ended, and reap it.

        It ends by itself then, unless it was stopped. What waits for it would keep the container
        from ending.
        """
        ended = os.pidfd_open(process.pid)
        kill = self._ends[path] = process.kill

        def reap() -> None:
            process.wait()
            if self._ends.get(path) == kill:
                del self._ends[path]
            self._forget(ended)
            os.close(ended)
            self._forget(supervisor.fileno())
            supervisor.close()

        self._register(supervisor.fileno(), 0, kill)
        self._register(ended, select.EPOLLIN, reap)

    @contextlib.contextmanager
    def _timed(self, path: Path) -> Iterator[None]:
        """Count the time of the block for a socket.

        Raises:
            OSError: When its requests have taken too much of this minute.
        """
        began = time.monotonic()
        if began - self._minute > _MINUTE_S:
            self._minute = began
            self._times.clear()
        if self._times[path] > _MOST_S:
            raise OSError(errno.EBUSY, "the slot asks too often")
        try:
            yield
        finally:
            self._times[path] += time.monotonic() - began


class ContainerProcess(NamedTuple):
    """A container: its process that listens, and descriptors of its mount and network namespaces.

    The descriptors are closed at the end of a block.
    """

    pid: int
    mounts: int
    network: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Open the namespaces of a process.

        Raises:
            OSError: When it has ended.
        """
        mounts = os.open(f"/proc/{pid}/ns/mnt", _OPEN)
        try:
            return cls(pid, mounts, os.open(f"/proc/{pid}/ns/net", _OPEN))
        except OSError:
            os.close(mounts)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_here(self) -> bool:
        """Whether this process is in the same mount namespace."""
        return os.fstat(self.mounts).st_ino == _OWN.stat().st_ino

    def has(self, folder: int) -> bool:
        """Whether the container has an opened directory of a slot for its own.

        A process that listens may end before its socket does: then its pid tells nothing.
        """
        own = Path(f"/proc/{self.pid}/root", *FOLDERS).lstat()
        is_its = os.path.samestat(own, os.fstat(folder))
        now = Path(f"/proc/{self.pid}/ns/mnt").stat()
        return is_its and now.st_ino == os.fstat(self.mounts).st_ino

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.mounts)
        os.close(self.network)


def _each(files: NewFiles, handle: Callable[[Path], None]) -> None:
    """Handle each new file; what cannot be handled belongs to a slot that has ended."""
    for path in files.read():
        with contextlib.suppress(OSError):
            handle(path)


def _mark(directory: Path) -> None:
    """Tell the slot of a directory that the machine handles its requests."""
    folder = _opened(directory)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(MARK, flags, 0o644, dir_fd=folder))
    finally:
        os.close(folder)


def _opened(directory: Path) -> int:
    """Open the directory of a slot, which could put a link in its place."""
    return os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _check_machine() -> None:
    """Raise an `OSError` that says why no bucket can be mounted, if so."""
    if reason := obstacle():
        raise OSError(reason)


def _check_owner(uid: int, gid: int) -> None:
    """Raise an `OSError` unless they are a user's: what root may use could block this process."""
    if not (0 < uid < _LAST_UID and 0 < gid < _LAST_UID):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _answer(supervisor: socket.socket, answer: BucketMounted) -> None:
    _send(supervisor, encoded(answer))


def _send(supervisor: socket.socket, answer: bytes) -> None:
    """Send an answer, unless the supervisor does not read them."""
    with contextlib.suppress(OSError):  # its end is an event
        supervisor.send(answer, socket.MSG_DONTWAIT)


def _connect(connection: socket.socket, name: str, folder: int) -> None:
    """Connect to a socket in a directory, at once or not at all; it must not be a link."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        connection.settimeout(0)
        connection.connect(f"/proc/self/fd/{descriptor}")
        connection.settimeout(None)
    finally:
        os.close(descriptor)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the peer has closed the connection."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))


def main() -> None:
    """Serve the slots of a machine."""
    parser = argparse.ArgumentParser(
        prog="picloud_worker.mount.machine", description="Mount buckets in containers."
    )
    parser.add_argument("--slots", required=True, type=Path, help="holds a directory for each slot")
    Machine(parser.parse_args().slots).run()


if __name__ == "__main__":
    main()
