"""One connection to a gateway, until both ends of its stream are there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, ClassVar, Final, cast

from picloud_model.wire.tunnel import ACCEPTED, MOST_LINE

if TYPE_CHECKING:
    from picloud_gateway.pairing import Pairing

_KEEPALIVE: Final = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 2))


class StreamConnection(asyncio.Protocol):
    """One end of a stream."""

    greeting: ClassVar[bytes] = ACCEPTED
    """What this end receives when the other end is there."""
    _transport: asyncio.Transport

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a ticket."""
        self._take(transport)
        self._pairing.add(self)

    def _take(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        connected = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        """Read the ticket: a line, after which nothing may follow before `ACCEPTED`."""
        self._received += data
        line, newline, more = self._received.partition(b"\n")
        if len(self._received) > MOST_LINE or more:
            self._transport.abort()
        elif newline:
            self._transport.pause_reading()
            self._pairing.present(self, line.decode("latin-1"))

    def detach(self) -> socket.socket:
        """Send the greeting; return the socket, which the transport no longer uses."""
        connected: socket.socket = self._transport.get_extra_info("socket").dup()
        with contextlib.suppress(OSError):  # the relay will notice that it is broken
            connected.send(self.greeting)
        self._transport.abort()  # closes its own descriptor of the socket only
        return connected

    def refuse(self, reason: str) -> None:
        """Send what is wrong, and close."""
        self._transport.write(reason.encode() + b"\n")
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget this connection."""
        del exc
        self._pairing.remove(self)
