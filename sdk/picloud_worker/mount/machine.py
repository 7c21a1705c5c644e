"""Mounts buckets in the containers of a machine: `python -m picloud_worker.mount.machine`.

A slot in a container asks through a socket in its directory of the scheduler, which no job can
open. The kernel says which process listens there, and so in which container to mount. Each mount is
served by a process of its own with the token of that slot; it outlives this process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.wire import BucketMounted

from picloud_worker.ipc.peer import peer_of
from picloud_worker.mount.mount_server import SOCKET
from picloud_worker.mount.request import encoded
from picloud_worker.mount.start import obstacle, start
from picloud_worker.system.new_files import NewFiles

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

FOLDERS: Final = ("alloc", "bucket", SOCKET)
"""Where the socket is, below the directory of a slot."""
_ROOT: Final = 0
_OWN: Final = Path("/proc/self/ns/mnt")


class Machine:
    """Starts a process for each slot that asks, and ends it with the slot.

    Args:
        slots: The directory that holds a directory for each slot.

    Raises:
        OSError: When that cannot be watched.
    """

    def __init__(self, slots: Path) -> None:
        self._files = NewFiles(slots, FOLDERS)
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._register(self._files.fileno(), select.EPOLLIN, self._look)

    def run(self, until: int) -> None:
        """Serve until a descriptor can be read or has ended."""
        self._epoll.register(until, select.EPOLLIN)
        self._look()
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
        os.close(descriptor)

    def _look(self) -> None:
        for path in self._files.read():
            # If the supervisor has ended, nothing waits for an answer.
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1.0)
                _connect(connection, path)
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        """Start a process that mounts in the container of the peer."""
        peer = peer_of(connection)
        assert peer is not None  # Linux says it
        namespace = os.open(f"/proc/{peer.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _has_ended(connection):  # the pid may be that of another process
                return
            reason = obstacle()
            if peer.uid != _ROOT or os.fstat(namespace).st_ino == _OWN.stat().st_ino:
                reason = "the request does not come from the supervisor of a container"
            if reason:
                refusal = BucketMounted(reason=f"The bucket cannot be mounted here: {reason}.")
                connection.send(encoded(refusal))
                return
            connection.settimeout(None)
            inherited = (connection.fileno(), namespace)
            process = start(inherited[0], ("--container", str(namespace)), inherited)
        finally:
            os.close(namespace)
        self._watch(process, os.dup(connection.fileno()))

    def _watch(self, process: subprocess.Popen[bytes], connection: int) -> None:
        """Kill a process whose supervisor has ended, and reap it.

        It ends by itself then, unless it was stopped. What waits for it would keep the container
        from ending.
        """
        ended = os.pidfd_open(process.pid)

        def reap() -> None:
            process.wait()
            self._forget(ended)
            self._forget(connection)

        # Without any event the end of the peer is still reported.
        self._register(connection, 0, process.kill)
        self._register(ended, select.EPOLLIN, reap)


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
