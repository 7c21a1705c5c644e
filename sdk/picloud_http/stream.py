"""Streams: TCP connections through a gateway, and carrying bytes between two sockets."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from picloud_model.wire.tunnel import ACCEPTED, MOST_LINE, PAIRING_S

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

CONNECT_S: Final = 5.0
"""Longest time to wait for a connection to a gateway."""
PIECE_BYTES: Final = 64 * 1024
_MARGIN_S: Final = 2.0


Owner = TypeVar("Owner")


class StreamRefusedError(OSError):
    """The gateway sent a sentence instead of opening the stream."""


def open_stream(host: str, port: int, ticket: str) -> socket.socket:
    """Return a socket at one end of a stream, once the other end is connected.

    Raises:
        StreamRefusedError: When the gateway refuses the ticket, or the other end does not come.
        OSError: When the gateway cannot be reached.
    """
    connected = socket.create_connection((host, port), CONNECT_S)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.sendall(ticket.encode() + b"\n")
        connected.settimeout(PAIRING_S + _MARGIN_S)
        _await_other_end(connected)
        connected.settimeout(None)
    except BaseException:
        connected.close()
        raise
    return connected


def _await_other_end(connected: socket.socket) -> None:
    line = _read_line(connected)
    if line != ACCEPTED:
        raise StreamRefusedError(line.decode(errors="replace").strip() or "The gateway ended.")


def _read_line(connected: socket.socket) -> bytes:
    """Read a line and not a byte more: what follows belongs to the stream."""
    line = b""
    while not line.endswith(b"\n") and len(line) < MOST_LINE:
        byte = connected.recv(1)
        if not byte:
            break
        line += byte
    return line


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes between two sockets, in both directions, until both have ended; close both.

    An end that sends its last byte first still receives what the other one sends.
    """
    back = threading.Thread(target=_copy, args=(other, one), name="stream", daemon=True)
    back.start()
    _copy(one, other)
    back.join()
    one.close()
    other.close()


class OpenStreams(Generic[Owner]):
    """The streams that threads of this process carry, so that another thread can end them."""

    def __init__(self) -> None:
        self._owners: dict[socket.socket, Owner] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many sockets are carried, which is two for each stream."""
        return len(self._owners)

    def carry(self, one: socket.socket, other: socket.socket, owner: Owner) -> None:
        """Carry bytes between two sockets until both have ended, or the owner's streams are."""
        with self._lock:
            self._owners |= {one: owner, other: owner}
        try:
            carry(one, other)
        finally:
            with self._lock:
                del self._owners[one], self._owners[other]

    def owners(self) -> set[Owner]:
        """Return whose streams there are."""
        with self._lock:
            return {*self._owners.values()}

    def end(self, owners: Container[Owner]) -> None:
        """End the streams of some owners."""
        with self._lock:
            abort([each for each, owner in self._owners.items() if owner in owners])


def abort(sockets: Sequence[socket.socket]) -> None:
    """End the streams of sockets, also those that other threads wait for."""
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(PIECE_BYTES))
    try:
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        abort((source, sink))
