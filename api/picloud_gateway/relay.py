"""A stream that has both of its ends: it carries bytes in both directions.

Each end is read only as fast as the other end accepts bytes. When one end has sent its last byte,
the other may go on.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from picloud_model.wire.gateway import StreamLimits

    from picloud_gateway.pairing import End

BUFFER_BYTES: Final = 64 * 1024
"""The most that the gateway keeps of one direction of a stream."""
_IN_A_ROW: Final = 16
"""Reads of one socket before those of others."""
_BUFFER: Final = memoryview(bytearray(BUFFER_BYTES))
"""What is read; of all streams, as what cannot be sent at once is copied."""


class Relays:
    """The streams that are carried.

    Args:
        loop: The event loop.
        limits: How long a stream may last.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: StreamLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._open: set[Relay] = set()

    def count(self) -> int:
        """Return how many connections they have."""
        return 2 * len(self._open)

    def carry(self, one: End, other: End) -> None:
        """Carry bytes between two connections from now on."""
        ends = (one.detach(), other.detach())
        self._open.add(Relay(self._loop, ends, self._limits, self._open.discard))

    def close(self) -> None:
        """End all of them."""
        for each in [*self._open]:
            each.close()


class Relay:
    """Carries bytes between two sockets until both have ended, and closes them.

    The sockets are used directly: asyncio's transports would allocate memory for each read, and
    keep four times as much of a stream.

    Args:
        loop: The event loop.
        ends: The sockets, which do not block.
        limits: How long the stream may last.
        ended: Called once when it has ended.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ends: tuple[socket.socket, socket.socket],
        limits: StreamLimits,
        ended: Callable[[Relay], None],
    ) -> None:
        one, other = ends
        self.loop = loop
        self._limits = limits
        self._ended = ended
        self._directions = (_Direction(self, one, other), _Direction(self, other, one))
        self._ends_at = loop.time() + limits.longest_s
        self.touch()
        self._timer = loop.call_later(min(limits.idle_s, limits.longest_s), self._check)
        for each in self._directions:
            each.start()

    def touch(self) -> None:
        """Record that a byte was carried."""
        self._used_at = self.loop.time()

    def _check(self) -> None:
        """End the stream if it is too old, or has carried nothing for too long."""
        due = min(self._used_at + self._limits.idle_s, self._ends_at)
        if self.loop.time() >= due:
            self.close()
        else:
            self._timer = self.loop.call_at(due, self._check)

    def close_if_ended(self) -> None:
        """Close the sockets once no direction has more bytes."""
        if all(each.has_ended for each in self._directions):
            self.close()

    def close(self) -> None:
        """Close both sockets at once."""
        if self._timer.cancelled():
            return
        self._timer.cancel()
        for each in self._directions:
            each.close()
        self._ended(self)


class _Direction:
    """Carries bytes from one socket to another."""

    def __init__(self, relay: Relay, source: socket.socket, sink: socket.socket) -> None:
        self.has_ended = False
        self._relay = relay
        self._source = source
        self._sink = sink
        self._rest = memoryview(b"")

    def start(self) -> None:
        self._relay.loop.add_reader(self._source, self._read)

    def _read(self) -> None:
        for _ in range(_IN_A_ROW):
            try:
                count = self._source.recv_into(_BUFFER)
            except BlockingIOError:
                return
            except OSError:
                self._relay.close()
                return
            if not count:
                self._end()
                return
            self._relay.touch()
            # Fewer bytes than were wanted: there are no others yet.
            if not self._send(_BUFFER[:count]) or count < BUFFER_BYTES:
                return

    def _send(self, data: memoryview) -> bool:
        """Send bytes; keep what the sink does not accept now, and read no more until it does."""
        try:
            sent = self._sink.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._relay.close()
            return False
        if sent == len(data):
            return True
        self._rest = memoryview(bytes(data[sent:]))
        self._relay.loop.remove_reader(self._source)
        self._relay.loop.add_writer(self._sink, self._write)
        return False

    def _write(self) -> None:
        try:
            sent = self._sink.send(self._rest)
        except BlockingIOError:
            return
        except OSError:
            self._relay.close()
            return
        self._relay.touch()
        self._rest = self._rest[sent:]
        if not self._rest:
            self._relay.loop.remove_writer(self._sink)
            self.start()

    def _end(self) -> None:
        """Pass on that no more bytes follow."""
        self.has_ended = True
        self._relay.loop.remove_reader(self._source)
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._relay.close_if_ended()

    def close(self) -> None:
        self._relay.loop.remove_reader(self._source)
        self._relay.loop.remove_writer(self._source)
        self._source.close()
