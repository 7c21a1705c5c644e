"""Browsers: a port of the gateway on which the server decides on each request."""

from __future__ import annotations

import asyncio
import secrets
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final, cast

from picloud_model.wire.gateway import (
    BROWSERS,
    AdmitOrder,
    BrowserNotice,
    ListeningNotice,
    ReplyOrder,
)

from picloud_gateway.request_head import MOST_HEAD, RequestHead
from picloud_gateway.stream import StreamConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from picloud_model.wire.gateway import DropOrder, GatewayNotice

    from picloud_gateway.pairing import End, Pairing, Timer

CHECK_S: Final = 5.0
"""Time between two decisions on a connection that goes on."""
_STREAM_BYTES: Final = 16
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_MISDIRECTED: Final = (
    b"HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
_NOT_REACHED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"
    b"Refresh: 3\r\nConnection: close\r\n\r\nThe job cannot be reached now; it may have ended.\n"
)


class Question(Enum):
    """What the server is asked about a connection."""

    FIRST = "first"
    """May its first request have a stream to a job?"""
    NEXT = "next"
    """May another request be sent by that stream?"""
    CHECK = "check"
    """May it go on?"""


class Browsers:
    """Listens for browsers, and reports their requests.

    Args:
        host: The address to listen on.
        pairing: Pairs browsers with slots.
        notify: Sends a notice to the server.
        call_later: Calls a function after some seconds.
    """

    def __init__(
        self,
        host: str,
        pairing: Pairing,
        notify: Callable[[GatewayNotice], None],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._host = host
        self._pairing = pairing
        self.notify = notify
        self.call_later = call_later
        self._asked: dict[str, tuple[BrowserConnection, Question]] = {}
        self._slots: set[SlotConnection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        """Listen on a port, and report which one it is; 0 if it is taken."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: BrowserConnection(self._pairing, self),
                self._host,
                port,
                reuse_port=bool(port) or None,
            )
        except OSError:
            self.notify(ListeningNotice(BROWSERS, 0))
            return
        self.notify(ListeningNotice(BROWSERS, self._server.sockets[0].getsockname()[1]))

    def count(self) -> int:
        """Return how many connections its streams have."""
        return 2 * len(self._slots)

    def join(self, browser: BrowserConnection, slot: End) -> None:
        """Carry bytes between a browser and its slot from now on."""
        end = SlotConnection(browser, self._slots)
        end.start(slot.detach())

    def obey(self, order: AdmitOrder | ReplyOrder | DropOrder) -> None:
        """Carry out what the server has decided; the browser may have gone."""
        connection, question = self._asked.get(order.stream, (None, Question.CHECK))
        if connection is None:
            return
        # The slot of a first request may still fail to come.
        if question is not Question.FIRST or not isinstance(order, AdmitOrder):
            del self._asked[order.stream]
        if isinstance(order, AdmitOrder):
            if question is not Question.CHECK:
                connection.admit(order.headers)
            if question is Question.FIRST:
                self._pairing.expect_slot(connection, order.stream)
        elif question is Question.CHECK:
            connection.abort()
        else:
            connection.reply(order.reply if isinstance(order, ReplyOrder) else _NOT_REACHED)

    def ask(self, connection: BrowserConnection, question: Question, head: RequestHead) -> None:
        """Ask the server about a connection, with its latest request."""
        stream = secrets.token_hex(_STREAM_BYTES)
        self._asked[stream] = (connection, question)
        self.notify(
            BrowserNotice(
                stream=stream,
                method=head.method,
                target=head.target,
                headers=head.headers,
                is_open=question is not Question.FIRST,
            )
        )

    def remove(self, connection: BrowserConnection) -> None:
        """Forget a connection that was closed."""
        for stream in [each for each, (of, _) in self._asked.items() if of is connection]:
            del self._asked[stream]


class BrowserConnection(StreamConnection):
    """The client's end of a stream: the requests of a browser, each of which is decided on."""

    greeting: ClassVar[bytes] = b""

    def __init__(self, pairing: Pairing, browsers: Browsers) -> None:
        super().__init__(pairing)
        self._browsers = browsers
        self._head: RequestHead | None = None
        self._is_deciding = False
        self._body_left: int | None = 0
        """Bytes of a request that are to come; None if all that follows belongs to it."""
        self._first = bytearray()
        self._slot: asyncio.Transport | None = None
        self._check: Timer | None = None

    def data_received(self, data: bytes) -> None:
        """Pass on the body of a request; ask about the head of the next one once it is complete."""
        self._received += data
        if self._is_deciding:
            self._transport.pause_reading()
        else:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._received and not self._is_deciding:
            if self._body_left == 0:
                if not self._read_head():
                    return
                continue
            piece = bytes(self._received[: self._body_left])
            del self._received[: self._body_left]
            if self._body_left is not None:
                self._body_left -= len(piece)
            self._send(piece)

    def _read_head(self) -> bool:
        """Read the head of a request; return False until it is complete, or if there is none."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0 and len(self._received) <= MOST_HEAD:
            return False
        before = self._head
        if before is None and not self._pairing.heard(self):
            return False
        head = RequestHead.read(bytes(self._received[:end])) if end >= 0 else None
        if head is None:
            self.reply(_BAD_REQUEST)
            return False
        if before is not None and head.headers["host"] != before.headers["host"]:
            self.reply(_MISDIRECTED)
            return False
        del self._received[: end + 4]
        self._head, self._is_deciding = head, True
        self._transport.pause_reading()
        self._browsers.ask(self, Question.NEXT if before else Question.FIRST, head)
        return True

    def _send(self, data: bytes) -> None:
        """Send the slot some bytes, at once or when it is there."""
        if self._slot is not None:
            self._slot.write(data)
        else:
            self._first += data

    def admit(self, headers: dict[str, str]) -> None:
        """Send the slot the request that was decided on, with these headers."""
        if self._head is None or not self._is_deciding:
            return
        self._is_deciding = False
        self._body_left = self._head.body_bytes
        self._send(self._head.passed_on(headers))
        self._pass_on()
        if self._slot is not None and not self._is_deciding:
            self.resume_reading()

    def joined(self, slot: asyncio.Transport) -> None:
        """Carry bytes to the slot from now on, first the request."""
        if self._transport.is_closing():
            slot.abort()
            return
        self._slot = slot
        slot.write(bytes(self._first))
        self._first.clear()
        if not self._is_deciding:
            self.resume_reading()
        self._check = self._browsers.call_later(CHECK_S, self._check_again)

    def carry(self, data: bytes) -> None:
        """Send the browser what the job has sent."""
        self._transport.write(data)

    def close(self) -> None:
        """Close once all that was sent has arrived."""
        self._transport.close()

    def pause_reading(self) -> None:
        """Read no more until the slot accepts more."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on, unless the server is being asked."""
        if not self._is_deciding and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """Read no more from the slot until the browser accepts more."""
        if self._slot is not None:
            self._slot.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        if self._slot is not None and not self._slot.is_closing():
            self._slot.resume_reading()

    def reply(self, data: bytes) -> None:
        """Send a reply, and close."""
        if not self._transport.is_closing():
            self._received.clear()
            self._is_deciding = True  # nothing that follows is a request
            self._transport.write(data)
            self._transport.close()

    def refuse(self, reason: str) -> None:
        """Reply that the job cannot be reached."""
        del reason
        self.reply(_NOT_REACHED)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the slot's end as well."""
        self._browsers.remove(self)
        if self._check is not None:
            self._check.cancel()
        if self._slot is not None:
            self._slot.abort()
        super().connection_lost(exc)

    def _check_again(self) -> None:
        self._check = self._browsers.call_later(CHECK_S, self._check_again)
        if self._head is not None:
            self._browsers.ask(self, Question.CHECK, self._head)


class SlotConnection(asyncio.Protocol):
    """The slot's end of the stream of a browser, which is read only as fast as that accepts it."""

    _transport: asyncio.Transport

    def __init__(self, browser: BrowserConnection, others: set[SlotConnection]) -> None:
        self._browser = browser
        self._others = others
        self._opening: asyncio.Task[None] | None = None

    def start(self, connected: socket.socket) -> None:
        """Use a socket from now on."""
        self._others.add(self)
        self._opening = asyncio.get_running_loop().create_task(self._open(connected))

    async def _open(self, connected: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self, sock=connected)
        except OSError:
            connected.close()
            self._others.discard(self)
            self._browser.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the browser send its request."""
        self._transport = cast("asyncio.Transport", transport)
        self._browser.joined(self._transport)

    def data_received(self, data: bytes) -> None:
        """Send it to the browser."""
        self._browser.carry(data)

    def pause_writing(self) -> None:
        """Read no more from the browser until the slot accepts more."""
        self._browser.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._browser.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the browser's end as well."""
        self._others.discard(self)
        if exc is None:
            self._browser.close()
        else:
            self._browser.abort()
