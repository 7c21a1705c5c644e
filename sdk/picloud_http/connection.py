"""A connection to an HTTP server that is kept open.

A request is written in one piece if it is short, since two would take a second packet and wake the
server a second time. This is not urllib3, whose import takes 70 ms and 8 MB, and which needs ten
times as long for a request.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from picloud_http.response import LARGEST, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from io import BufferedReader

CONNECT_S: Final = 5.0
"""Longest time to wait for a connection."""
_HAS_POLL: Final = hasattr(select, "poll")
"""Whether sockets of any number can be looked at."""
_ONE_PIECE: Final = 1024 * 1024
_SHORT: Final = 64 * 1024
"""Pieces of fewer bytes are sent with those before them."""
_PORTS: Final = {"http": 80, "https": 443}
_OPTIONS: Final = (
    ("TCP_USER_TIMEOUT", 5000),
    ("TCP_KEEPIDLE", 5),
    ("TCP_KEEPINTVL", 2),
    ("TCP_KEEPCNT", 2),
)
"""A peer that has vanished is detected within 10 s, where the system supports it."""


_PLAIN: Final = "the server speaks http and not https: write its URL with http://"


class CertificateRefusedError(OSError):
    """No TLS connection was made: another attempt cannot succeed."""


class Connection:
    """A connection that is opened when it is first needed; for one thread at a time.

    Args:
        url: The server's; what follows host and port is not used.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS["https" if self._secure else "http"]
        self.host_header = parts.netloc.rpartition("@")[2]
        self.socket: socket.socket | None = None
        """The socket, while the connection is open."""
        self._stream: BufferedReader | None = None

    @property
    def is_open(self) -> bool:
        """Whether the next request needs no new connection, as far as this side knows."""
        return self.socket is not None

    def open(self, timeout_s: float = CONNECT_S) -> socket.socket:
        """Return the socket; connect if there is none, or if the server has closed it meanwhile.

        Raises:
            CertificateRefusedError: When the server's certificate is not trusted.
            OSError: When no connection is made.
        """
        if self.socket is not None:
            if not _has_input(self.socket):
                return self.socket
            self.close()
        self.socket = connected = self._connect(timeout_s)
        self._stream = connected.makefile("rb")
        return connected

    def send(self, head: bytes, body: bytes | Iterable[bytes] | None) -> None:
        """Send a request over the open connection; the time of each write is the socket's timeout.

        Raises:
            OSError: When the connection broke.
        """
        connected = self.socket
        if connected is None:
            raise OSError("the connection is closed")
        if isinstance(body, bytes) or body is None:
            if body is None or len(body) <= _ONE_PIECE:
                connected.sendall(head + (body or b""))
                return
            body = (body,)
        held = head
        for piece in body:
            if len(piece) < _SHORT:
                held += piece
                continue
            connected.sendall(held)
            connected.sendall(piece)
            held = b""
        if held:
            connected.sendall(held)

    def response(self, *, largest: int = LARGEST, bodiless: bool = False) -> Response:
        """Read the head of the response to the request that was sent.

        Args:
            largest: The longest body that is accepted, in bytes.
            bodiless: Whether the request was one whose response has no body: HEAD.

        Raises:
            OSError: When none arrives.
            ValueError: When it is not HTTP.
        """
        if self._stream is None:
            raise OSError("the connection is closed")
        return Response(self._stream, largest, bodiless=bodiless)

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        connected, stream = self.socket, self._stream
        self.socket = self._stream = None
        if stream is not None:
            stream.close()
        if connected is not None:
            connected.close()

    def _connect(self, timeout_s: float) -> socket.socket:
        connected = socket.create_connection((self._host, self._port), timeout_s)
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _OPTIONS:
                option = getattr(socket, name, None)  # missing on some systems
                if option is not None:
                    connected.setsockopt(socket.IPPROTO_TCP, option, value)
            if self._secure:
                return _secured(connected, self._host)
        except BaseException:
            connected.close()
            raise
        return connected


def head_of(verb: str, target: str, headers: Mapping[str, str]) -> bytes:
    r"""Return the head of a request.

    Raises:
        ValueError: When the target or a header would be more than one line.

    >>> head_of("GET", "/v1/health", {"host": "localhost"})
    b'GET /v1/health HTTP/1.1\r\nhost: localhost\r\n\r\n'
    """
    lines = [f"{verb} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a header or the path of a request has a line break")
    return f"{text}\r\n\r\n".encode("latin-1")


def _secured(connected: socket.socket, host: str) -> socket.socket:
    import ssl  # noqa: PLC0415 - it takes milliseconds and megabytes, which http needs not spend

    try:
        return ssl.create_default_context().wrap_socket(connected, server_hostname=host)
    except ssl.SSLError as error:
        if error.reason == "WRONG_VERSION_NUMBER":  # what came was no record of TLS
            raise CertificateRefusedError(error.errno, _PLAIN) from error
        raise CertificateRefusedError(error.errno, error.strerror or str(error)) from error


def _has_input(connected: socket.socket) -> bool:
    """Return whether something has arrived without a request: the end, or other bytes."""
    if _HAS_POLL:
        poll = select.poll()
        poll.register(connected, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connected], [], [], 0)[0])
