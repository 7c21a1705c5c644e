"""The line of a child: a local socket where processes of its job ask, and say that they wait.

A connection that says what it waits for stays open for as long as it does: one that dies waits for
nothing any more. Nothing a job says here can stop the supervisor: it never waits for a line.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from picloud_model import wire
from picloud_model.job_socket import MOST_BYTES, address

if TYPE_CHECKING:
    from picloud_model.wire import JobGrant, JobSocketRequest

MOST_CONNECTIONS: Final = 64
"""Connections of one child at once; more are hung up on."""
_CREDENTIALS: Final = struct.Struct("iII")


class Listener(Protocol):
    """Who answers on a line."""

    def grant(self, line: JobSocket) -> JobGrant | None:
        """The token of the job that runs, or None where none does."""

    def waiting(self, line: JobSocket, said: JobSocketRequest | None) -> None:
        """The job waits for others from now on; or, with None, for nothing any more."""


class JobSocket:
    """One child's line; registers itself, and each connection, at the supervisor's selector."""

    def __init__(
        self, name: str, selector: selectors.BaseSelector, listener: Listener, uid: int
    ) -> None:
        self.name = name
        self._uid = uid
        self._selector = selector
        self._listener = listener
        self._connections: dict[socket.socket, bytearray] = {}
        self._waiting: dict[socket.socket, JobSocketRequest] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0)
        self._socket.bind(address(name))
        self._socket.listen(MOST_CONNECTIONS)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Hang up on everybody."""
        for connection in list(self._connections):
            self._hang_up(connection)
        self._selector.unregister(self._socket)
        self._socket.close()
        if (path := address(self.name))[0] != "\0":
            Path(path).unlink(missing_ok=True)

    def _accept(self) -> None:
        # It may have been closed for something else that was ready at the same time.
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            if len(self._connections) >= MOST_CONNECTIONS or not _is_of(connection, self._uid):
                connection.close()
                return
            connection.settimeout(0)
            self._connections[connection] = bytearray()
            self._selector.register(
                connection, selectors.EVENT_READ, lambda: self._hear(connection)
            )
            self._hear(connection)  # most say at once what they want

    def _hear(self, connection: socket.socket) -> None:
        said = self._connections.get(connection)
        if said is None:
            return
        try:
            data = connection.recv(MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        said += data
        if not data or len(said) > MOST_BYTES:
            self._hang_up(connection)
        elif said.endswith(b"\n"):
            self._answer(connection, bytes(said))
            said.clear()

    def _answer(self, connection: socket.socket, said: bytes) -> None:
        try:
            request = wire.decode(said, wire.JobSocketRequest, wire.JSON)
        except msgspec.MsgspecError:
            self._hang_up(connection)
            return
        if request.awaiting is not None:
            self._waiting[connection] = request
            self._listener.waiting(self, request)
            return
        granted = self._listener.grant(self)
        if granted is not None:
            with contextlib.suppress(OSError):
                connection.send(wire.encode(granted, wire.JSON) + b"\n")
        self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._connections[connection]
        connection.close()
        if self._waiting.pop(connection, None) is not None:
            # Where several threads wait, the job does so until the last of them goes on.
            self._listener.waiting(self, next(iter(self._waiting.values()), None))


def _is_of(connection: socket.socket, uid: int) -> bool:
    """Whether the other end is a process of the user's, where the system tells."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    told = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[1] == uid)
