"""One connection of a gateway: its ticket, then the bytes of its stream.

Each end is read only as fast as the other end accepts bytes. When one end has sent its last byte,
the other may go on.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, ClassVar, Final, cast

from picloud_model.wire.tunnel import ACCEPTED, MOST_LINE

if TYPE_CHECKING:
    from picloud_gateway.pairing import End, Pairing, Timer

BUFFER_BYTES: Final = 64 * 1024
"""How much of a stream the gateway keeps for an end that reads slowly, about."""
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 2))


class StreamConnection(asyncio.Protocol):
    """One end of a stream."""

    greeting: ClassVar[bytes] = ACCEPTED
    """What this end receives when the other end is there."""
    _transport: asyncio.Transport
    _handshake: Timer

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self._received = bytearray()
        self._has_ended = False
        self._other: StreamConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a ticket."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=BUFFER_BYTES)
        connected = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._handshake = self._pairing.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on; the first line is the ticket."""
        if self._other is not None:
            self._other.write(data)
            return
        self._received += data
        line, newline, more = self._received.partition(b"\n")
        if len(self._received) > MOST_LINE or more:
            self._transport.abort()  # nothing may follow the ticket before `ACCEPTED`
        elif newline:
            self._handshake.cancel()
            self._transport.pause_reading()
            self._pairing.present(self, line.decode("latin-1"))

    def write(self, data: bytes) -> None:
        """Send bytes to this end."""
        self._transport.write(data)

    def join(self, other: End) -> None:
        """Carry bytes to and from another end from now on."""
        self._other = cast("StreamConnection", other)
        self._transport.write(self.greeting)
        self._transport.resume_reading()

    def refuse(self, reason: str) -> None:
        """Send what is wrong, and close."""
        self._transport.write(reason.encode() + b"\n")
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def eof_received(self) -> bool:
        """Tell the other end that no more bytes follow; keep this end open for its own."""
        self._has_ended = True
        if self._other is None:
            return False
        if self._other.end_input():
            self._transport.close()
            return False
        return True

    def end_input(self) -> bool:
        """Send the end of the other's bytes; return whether this one has ended, too."""
        if self._has_ended:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
        return self._has_ended

    def pause_writing(self) -> None:
        """Read no more from the other end: this one accepts no more bytes for now."""
        if self._other is not None:
            self._other.pause_reading()

    def resume_writing(self) -> None:
        """Read from the other end again."""
        if self._other is not None:
            self._other.resume_reading()

    def pause_reading(self) -> None:
        """Leave what this end sends in its socket."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read what this end sends."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other end as well, at once if this one broke."""
        self._handshake.cancel()
        self._pairing.remove(self)
        other, self._other = self._other, None
        if other is None:
            return
        if exc is not None:
            other.abort()
        else:
            other.close()

    def close(self) -> None:
        """Close when everything is sent."""
        self._transport.close()
