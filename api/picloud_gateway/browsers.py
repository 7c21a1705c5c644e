"""Browsers: a port of the gateway on which the server decides on each request."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, ClassVar, Final

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
    from collections.abc import Callable

    from picloud_model.wire.gateway import DropOrder, GatewayNotice

    from picloud_gateway.pairing import Pairing, Timer

CHECK_S: Final = 5.0
"""Time between two decisions on a connection that goes on."""
_STREAM_BYTES: Final = 16
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_NOT_REACHED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"
    b"Connection: close\r\n\r\nThe job cannot be reached now; it may have ended.\n"
)


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
        self._open: dict[str, BrowserConnection] = {}
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

    def obey(self, order: AdmitOrder | ReplyOrder | DropOrder) -> None:
        """Carry out what the server has decided on a request; its browser may have gone."""
        connection = self._open.get(order.stream)
        if connection is None:
            return
        if isinstance(order, AdmitOrder):
            connection.admit(order.headers)
            self._pairing.expect_slot(connection, order.stream)
        elif isinstance(order, ReplyOrder):
            connection.reply(order.reply)
        else:
            connection.refuse("")

    def add(self, connection: BrowserConnection) -> str:
        """Return the name of the stream of a connection."""
        stream = secrets.token_hex(_STREAM_BYTES)
        self._open[stream] = connection
        return stream

    def remove(self, stream: str) -> None:
        """Forget a connection that was closed."""
        self._open.pop(stream, None)


class BrowserConnection(StreamConnection):
    """The client's end of a stream: one request of a browser, and what follows it.

    It closes after the reply, so that each request of a browser is decided on.
    """

    greeting: ClassVar[bytes] = b""

    def __init__(self, pairing: Pairing, browsers: Browsers) -> None:
        super().__init__(pairing)
        self._browsers = browsers
        self._stream = ""
        self._head: RequestHead | None = None
        self._cut_off: Callable[[], None] | None = None
        self._check: Timer | None = None

    def data_received(self, data: bytes) -> None:
        """Report the head of a request once it is complete; pass on what follows it."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 and len(self._received) <= MOST_HEAD:
            return
        self._transport.pause_reading()
        if not self._pairing.heard(self):
            return
        self._head = RequestHead.read(bytes(self._received[:end])) if end >= 0 else None
        if self._head is None:
            self.reply(_BAD_REQUEST)
            return
        self.first = bytes(self._received[end + 4 :])
        self._received.clear()
        self._stream = self._browsers.add(self)
        self._notify(is_open=False)

    def admit(self, headers: dict[str, str]) -> None:
        """Send the slot the request, with these headers, as soon as it is there."""
        if self._head is not None:
            self.first = self._head.passed_on(headers) + self.first

    def carried(self, close: Callable[[], None]) -> None:
        """Have the server decide again while the connection goes on."""
        self._cut_off = close
        self._check = self._browsers.call_later(CHECK_S, self._check_again)

    def ended(self) -> None:
        """Let the server decide no more."""
        self._cut_off = None
        self._forget()

    def reply(self, data: bytes) -> None:
        """Send a reply, and close; one that goes on already is cut off."""
        if self._cut_off is not None:
            self._cut_off()
            return
        if self._transport.is_closing():
            return
        self._transport.write(data)
        self._transport.close()

    def refuse(self, reason: str) -> None:
        """Reply that the job cannot be reached."""
        del reason
        self.reply(_NOT_REACHED)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, unless the relay has its socket."""
        if self._cut_off is None:
            self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        self._browsers.remove(self._stream)
        if self._check is not None:
            self._check.cancel()

    def _check_again(self) -> None:
        self._check = self._browsers.call_later(CHECK_S, self._check_again)
        self._notify(is_open=True)

    def _notify(self, *, is_open: bool) -> None:
        if self._head is not None:
            head = self._head
            self._browsers.notify(
                BrowserNotice(
                    stream=self._stream,
                    method=head.method,
                    target=head.target,
                    headers=head.headers,
                    is_open=is_open,
                )
            )
