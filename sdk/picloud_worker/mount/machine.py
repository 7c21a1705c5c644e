"""Mounts buckets and volumes in containers of a machine: `python -m picloud_worker.mount.machine`.

A slot in a container asks through a socket in its directory of the scheduler, which no job can
open. The kernel says which process listens there, and so in which container to mount. A bucket
is served by a process of its own with the token of that slot, from the first request of a program
on; it outlives this process. A file in the directory tells the slot that this process runs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

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
    from collections.abc import Callable

    from picloud_worker.mount.idle_mount import IdleMount

FOLDERS: Final = ("alloc", "bucket")
"""Where the directory for the socket is, below that of a slot."""
_CONNECT_S: Final = 1.0
_REFUSED: Final = "The bucket cannot be mounted here: {}."
_ROOT: Final = 0
_OWN: Final = Path("/proc/self/ns/mnt")


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
        self._looks = [
            partial(_each, NewFiles(slots, FOLDERS), _mark),
            self._watched(slots, SOCKET, self._await_mount),
            self._watched(slots, volumes.SOCKET, self._await_volumes),
        ]
        for look in self._looks:
            self._register(look.args[0].fileno(), select.EPOLLIN, look)

    def run(self, until: int) -> None:
        """Serve until a descriptor can be read or has ended."""
        self._epoll.register(until, select.EPOLLIN)
        for look in self._looks:
            look()
        while True:
            for descriptor, _ in self._epoll.poll():
                if descriptor == until:
                    return
                # Another event of the same turn may have removed it.
                self._handlers.get(descriptor, lambda: None)()

    def _register(self, descriptor: int, events: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def _forget(self, descriptor: int) -> None:
        del self._handlers[descriptor]
        self._epoll.unregister(descriptor)

    def _watched(self, slots: Path, name: str, begin: Callable[..., None]) -> partial[None]:
        """Return what handles new sockets of a name."""
        return partial(_each, NewFiles(slots, (*FOLDERS, name)), partial(self._connect, begin))

    def _connect(self, begin: Callable[[socket.socket, int], None], path: Path) -> None:
        """Connect to a supervisor in a container, and wait for its request."""
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(_CONNECT_S)
            _connect(connection, path)
            peer = peer_of(connection)
            assert peer is not None  # Linux says it
            namespace = os.open(f"/proc/{peer.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, namespace)
            if _has_ended(connection):  # the pid may be that of another process
                return
            if peer.uid != _ROOT or os.fstat(namespace).st_ino == _OWN.stat().st_ino:
                reason = "the request does not come from the supervisor of a container"
                _answer(connection, BucketMounted(reason=_REFUSED.format(reason)))
                return
            stack.pop_all()
            connection.settimeout(None)
            begin(connection, namespace)

    def _await_mount(self, supervisor: socket.socket, namespace: int) -> None:
        mount = partial(self._mount, supervisor, namespace)
        self._register(supervisor.fileno(), select.EPOLLIN, mount)

    def _await_volumes(self, supervisor: socket.socket, namespace: int) -> None:
        bind = partial(self._bind, supervisor, Binder(namespace))
        self._register(supervisor.fileno(), select.EPOLLIN, bind)

    def _bind(self, supervisor: socket.socket, binder: Binder) -> None:
        """Mount or unmount volumes, as a supervisor requests, until it ends."""
        try:
            answer = volumes.answer(supervisor, binder.handle)
        except OSError:
            self._forget(supervisor.fileno())
            supervisor.close()
            binder.close()
        else:
            with contextlib.suppress(OSError):  # its end is an event
                supervisor.send(answer)

    def _mount(self, supervisor: socket.socket, namespace: int) -> None:
        """Mount what a supervisor has requested; nothing serves it yet."""
        self._forget(supervisor.fileno())
        try:
            request = peek(supervisor)
            _check_machine()
            idle = container.mount(namespace, (request.uid, request.gid))
        except OSError as error:
            _answer(supervisor, BucketMounted(reason=_REFUSED.format(error)))
            supervisor.close()
            return
        finally:
            os.close(namespace)
        _answer(supervisor, BucketMounted(path=MOUNT_POINT, ready=True, idle=True))
        # Without any event the end of the peer is still reported.
        self._register(supervisor.fileno(), 0, partial(self._end, supervisor, idle))
        self._register(idle.device, select.EPOLLIN, partial(self._serve, supervisor, idle))

    def _end(self, supervisor: socket.socket, idle: IdleMount) -> None:
        """End a mount that nothing serves yet."""
        self._forget(supervisor.fileno())
        supervisor.close()
        self._forget(idle.device)
        idle.close()

    def _serve(self, supervisor: socket.socket, idle: IdleMount) -> None:
        """Start what serves a mount, at the first request of a program."""
        if _has_ended(supervisor):
            self._end(supervisor, idle)
            return
        self._forget(supervisor.fileno())
        self._forget(idle.device)
        options = ["--contained", "--device", str(idle.device), "--first", idle.first.hex()]
        process = start(supervisor.fileno(), options, (supervisor.fileno(), idle.device))
        idle.close()  # the mount now ends with that process
        self._watch(process, supervisor)

    def _watch(self, process: subprocess.Popen[bytes], supervisor: socket.socket) -> None:
        """Kill a process whose supervisor has ended, and reap it.

        It ends by itself then, unless it was stopped. What waits for it would keep the container
        from ending.
        """
        ended = os.pidfd_open(process.pid)

        def reap() -> None:
            process.wait()
            self._forget(ended)
            os.close(ended)
            self._forget(supervisor.fileno())
            supervisor.close()

        self._register(supervisor.fileno(), 0, process.kill)
        self._register(ended, select.EPOLLIN, reap)


def _each(files: NewFiles, handle: Callable[[Path], None]) -> None:
    """Handle each new file; what cannot be handled belongs to a slot that has ended."""
    for path in files.read():
        with contextlib.suppress(OSError):
            handle(path)


def _mark(directory: Path) -> None:
    """Tell the slot of a directory that the machine handles its requests."""
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
        os.close(os.open(MARK, flags, 0o644, dir_fd=folder))
    finally:
        os.close(folder)


def _check_machine() -> None:
    """Raise an `OSError` that says why no bucket can be mounted, if so."""
    if reason := obstacle():
        raise OSError(reason)


def _answer(supervisor: socket.socket, answer: BucketMounted) -> None:
    with contextlib.suppress(OSError):  # its end is an event
        supervisor.send(encoded(answer))


def _connect(connection: socket.socket, path: Path) -> None:
    """Connect to a socket whose path may be long, and must not be a link."""
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{descriptor}")
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
    # The standard input ends with what has started this process.
    Machine(parser.parse_args().slots).run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
