"""The socket of a child, where its job asks for a token and says which jobs it waits for.

A connection that says what the job waits for stays open for as long as it waits: when its process
dies, it waits no longer. No message of a job can block the supervisor, which never waits for one.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
from picloud_model import wire
from picloud_model.job_socket import MOST_BYTES, address

from picloud_worker.ipc.peer import peer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_model.wire import BucketMounted, JobGrant, JobSocketRequest, VolumesMounted
    from picloud_model.wire.info import Progress

MOST_CONNECTIONS: Final = 64
"""The connections of one child at once; more are closed."""


class JobSocketListener(Protocol):
    """Handles the messages of jobs."""

    def grant(self, job_socket: JobSocket) -> JobGrant | None:
        """Return the token of the job that runs; None if none does."""

    def mount(
        self, job_socket: JobSocket, volumes: Mapping[str, str] | None
    ) -> BucketMounted | VolumesMounted | None:
        """Return where the bucket is mounted for the job that runs, or whether volumes are."""

    def progress(self, job_socket: JobSocket, progress: Progress) -> None:
        """Note how far the job that runs says it is."""

    def await_others(self, job_socket: JobSocket, request: JobSocketRequest | None) -> None:
        """Note that the job waits for others; with None, that it no longer does."""


class JobSocket:
    """The socket of one child; it registers its connections at the supervisor's selector."""

    def __init__(
        self, name: str, selector: selectors.BaseSelector, listener: JobSocketListener, uid: int
    ) -> None:
        self.name = name
        self._uid = uid
        self._selector = selector
        self._listener = listener
        self._received: dict[socket.socket, bytearray] = {}
        self._waiting: dict[socket.socket, JobSocketRequest] = {}
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(0)
        self._socket.bind(address(name))
        self._socket.listen(MOST_CONNECTIONS)
        selector.register(self._socket, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._received):
            self._hang_up(connection)
        self._selector.unregister(self._socket)
        self._socket.close()
        if (path := address(self.name))[0] != "\0":
            Path(path).unlink(missing_ok=True)

    def _accept(self) -> None:
        # Another event of the same turn may have closed the socket.
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            if len(self._received) >= MOST_CONNECTIONS or not _is_of(connection, self._uid):
                connection.close()
                return
            connection.settimeout(0)
            self._received[connection] = bytearray()
            self._selector.register(
                connection, selectors.EVENT_READ, lambda: self._receive(connection)
            )
            self._receive(connection)  # most requests follow the connection at once

    def _receive(self, connection: socket.socket) -> None:
        received = self._received.get(connection)
        if received is None:
            return
        try:
            data = connection.recv(MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        received += data
        if not data or len(received) > MOST_BYTES:
            self._hang_up(connection)
        elif received.endswith(b"\n"):
            self._answer(connection, bytes(received))
            received.clear()

    def _answer(self, connection: socket.socket, message: bytes) -> None:
        try:
            request = wire.decode(message, wire.JobSocketRequest, wire.JSON)
        except msgspec.MsgspecError:
            self._hang_up(connection)
            return
        if request.awaiting is not None:
            self._waiting[connection] = request
            self._listener.await_others(self, request)
            return
        if request.progress is not None:
            self._listener.progress(self, request.progress)
            self._hang_up(connection)
            return
        answer: JobGrant | BucketMounted | VolumesMounted | None
        if request.mount or request.volumes is not None:
            answer = self._listener.mount(self, request.volumes)
        else:
            answer = self._listener.grant(self)
        if answer is not None:
            with contextlib.suppress(OSError):
                connection.send(wire.encode(answer, wire.JSON) + b"\n")
        self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        del self._received[connection]
        connection.close()
        if self._waiting.pop(connection, None) is not None:
            # With several waiting threads, the job waits until the last of them continues.
            self._listener.await_others(self, next(iter(self._waiting.values()), None))


def _is_of(connection: socket.socket, uid: int) -> bool:
    """Whether the peer is a process of this user; true where the system cannot say."""
    peer = peer_of(connection)
    return peer is None or peer.uid == uid
