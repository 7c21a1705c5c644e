"""The supervisor's side of the zygote: asks it to fork children, and learns which have exited."""

from __future__ import annotations

import os
import secrets
import select
import socket
import time
from typing import TYPE_CHECKING, Self

from picloud_worker.ipc.scoreboard import MOST_CHILDREN, Scoreboard
from picloud_worker.zygote import process

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from picloud_worker.system.user import User


class ZygoteLostError(Exception):
    """The zygote has exited: this slot can run no more jobs."""


class ZygoteClient:
    """The connection to the zygote; `close` ends the zygote and all its children.

    Args:
        connection: The socket to the zygote.
        scoreboard: Shared with the zygote and its children.
        socket_prefix: What the names of the job sockets start with.
        uid: The user of the children.
    """

    def __init__(
        self, connection: socket.socket, scoreboard: Scoreboard, socket_prefix: str, uid: int
    ) -> None:
        self.scoreboard = scoreboard
        self.uid = uid
        self._connection = connection
        self._socket_prefix = socket_prefix
        self._forked = 0
        self._preloaded = False
        self._received = bytearray()
        self._indexes: set[int] = set()

    @classmethod
    def start(
        cls, home: Path, user: User | None = None, environment: str = "", shell_python: str = ""
    ) -> Self:
        """Fork the zygote, before there are threads or secrets in this process.

        Args:
            home: The directory in which children run.
            user: The user of the children; None for the user of this process.
            environment: The virtual environment of the children; "" for that of this process.
            shell_python: The interpreter of shell servers; "" for that of this process.
        """
        scoreboard = Scoreboard()
        ours, theirs = socket.socketpair()
        socket_prefix = secrets.token_hex(8)
        parent = os.getpid()
        if os.fork() == 0:
            ours.close()
            setup = process.ChildSetup(
                home=str(home),
                user=user,
                socket_prefix=socket_prefix,
                environment=environment,
                shell_python=shell_python,
            )
            process.become_zygote(theirs, parent, scoreboard, setup)
        theirs.close()
        return cls(ours, scoreboard, socket_prefix, user.uid if user else _own_uid())

    def fileno(self) -> int:
        """Readable when a child has exited."""
        return self._connection.fileno()

    def fork(self, descriptors: Sequence[int]) -> int:
        """Let the zygote fork a child with these descriptors; return its row on the scoreboard.

        Raises:
            ZygoteLostError: When there is no zygote.
        """
        index = next(index for index in range(MOST_CHILDREN) if index not in self._indexes)
        self.scoreboard.clear(index)
        self._send(process.REQUEST.pack(process.FORK, index, self._forked), descriptors)
        self._indexes.add(index)
        return index

    def preload(self) -> None:
        """Let the zygote import `cloud` once, for the children forked from now on."""
        if not self._preloaded:
            self._preloaded = True
            self._send(process.REQUEST.pack(process.PRELOAD, 0, 0), ())

    def next_socket_name(self) -> str:
        """Return the name of the job socket of the next child to be forked."""
        self._forked += 1
        return process.socket_name(self._socket_prefix, self._forked)

    def signal(self, child_index: int, number: signal.Signals) -> None:
        """Send a signal to a child and its process group, unless it has exited."""
        self._send(process.REQUEST.pack(process.SIGNAL, child_index, number), ())

    def start_shell(self, child_index: int, stream: int, order: int) -> None:
        """Let the zygote start a shell server for the job of a child; any thread may call it.

        Args:
            child_index: The row of the child on the scoreboard.
            stream: The descriptor of the stream to a client.
            order: A descriptor from which the server reads a `ShellOrder`.
        """
        self._send(process.REQUEST.pack(process.SHELL, child_index, 0), (stream, order))

    def end_shells(self, child_index: int) -> None:
        """End the shell servers of a child, with all that they started."""
        self._send(process.REQUEST.pack(process.END_SHELLS, child_index, 0), ())

    def exits(self) -> Iterator[tuple[int, int]]:
        """Yield the index and the wait status of each child that has exited; does not wait.

        Raises:
            ZygoteLostError: When there is no zygote.
        """
        try:
            data = self._connection.recv(4096, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            raise ZygoteLostError
        self._received += data
        while len(self._received) >= process.EXIT.size:
            child_index, status = process.EXIT.unpack_from(self._received)
            del self._received[: process.EXIT.size]
            self._indexes.discard(child_index)
            yield child_index, status

    def await_exits(self, child_indexes: Iterable[int], timeout_s: float) -> None:
        """Wait until some children have exited, and forget the exits of others.

        Raises:
            ZygoteLostError: When there is no zygote any longer.
        """
        deadline = time.monotonic() + timeout_s
        while self._indexes.intersection(child_indexes) and time.monotonic() < deadline:
            select.select([self._connection], [], [], max(0.0, deadline - time.monotonic()))
            for _ in self.exits():
                pass

    def close(self) -> None:
        """End the zygote and every child, and wait until they have exited."""
        self._connection.close()
        try:
            os.wait()
        except ChildProcessError:
            return

    def _send(self, request: bytes, descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._connection, [request], descriptors)
        except OSError as error:
            raise ZygoteLostError from error


def _own_uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
