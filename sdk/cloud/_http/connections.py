"""Connections to the server and to its blob store, kept open for threads that use them.

Imported at the first request only: `import cloud` needs no sockets.
"""

from __future__ import annotations

import os
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from picloud_http.connection import CONNECT_S, CertificateRefusedError, Connection, head_of
from picloud_http.response import TooLongError
from picloud_model.pack import Pieces

from cloud._http.exchange import FIRST_ERROR, HttpReply, HttpRequest, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_http.response import Response

    from cloud._http.exchange import LongBody, LongReply

_MOST: Final = 64
"""Most connections to one address that are kept open while no request uses them."""
_BLOCK_BYTES: Final = 256 * 1024
"""How much of a long body is read and sent at a time."""
_UNQUOTED: Final = "!#$%&'()*+,/:;=?@[]~"
"""What a path of ours has quoted already, or need not quote."""


class Connections:
    """Carries requests to one server, and to the blob store that the server refers to.

    Threads may share it. A forked child opens its own connections: two processes that read from one
    socket would receive each other's replies.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._idle: dict[str, deque[Connection]]
        self._pid: int
        self._forget()

    def exchange(self, request: HttpRequest) -> HttpReply:
        """Send a request and wait for the whole reply.

        Raises:
            NoAnswer: When no reply arrives.
        """
        if self._pid != os.getpid():
            self._forget()
        address, target = self._place(request.url)
        idle = self._idle.get(address)
        if idle is None:
            idle = self._idle.setdefault(address, deque())
        connection = idle.pop() if idle else _new(address)
        try:
            reply = _exchanged(connection, target, request)
        except BaseException:
            connection.close()
            raise
        if connection.is_open and len(idle) < _MOST:
            idle.append(connection)
        return reply

    def close(self) -> None:
        """Close connections; the next exchange opens new ones."""
        if self._pid == os.getpid():
            _close_all(self._idle)
        self._forget()

    def _forget(self) -> None:
        self._idle, self._pid = {}, os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def _place(self, url: str) -> tuple[str, str]:
        """Return the address that a request goes to, and its target there."""
        if url.startswith("/"):
            return self._address, quote(f"{self._prefix}{url}", safe=_UNQUOTED)
        parts = urlsplit(url)
        query = f"?{parts.query}" if parts.query else ""
        target = quote(f"{parts.path or '/'}{query}", safe=_UNQUOTED)
        return f"{parts.scheme}://{parts.netloc}", target


def _new(address: str) -> Connection:
    try:
        return Connection(address)
    except ValueError as error:
        raise NoAnswer(f"{address} is not a valid URL: {error}", lasting=True) from error


def _close_all(idle: dict[str, deque[Connection]]) -> None:
    for connections in idle.values():
        while connections:
            connections.pop().close()


def _exchanged(connection: Connection, target: str, request: HttpRequest) -> HttpReply:
    head, body = _sent(connection, target, request)
    try:
        _connect(connection, request.timeout_s)
        response = _answered(connection, head, body, is_head=request.method == "HEAD")
        received = _received(response, request.target)
    except TooLongError as error:
        raise NoAnswer("its answer is too large", lasting=True) from error
    except TimeoutError as error:
        raise NoAnswer("timed out") from error
    except (OSError, ValueError) as error:
        raise NoAnswer(_reason(error)) from error
    if response.closing:
        connection.close()
    return HttpReply(response.status, response.headers, received)


def _sent(
    connection: Connection, target: str, request: HttpRequest
) -> tuple[bytes, bytes | Iterator[bytes] | None]:
    """Return the head and the body to send."""
    body = request.body
    headers = {"Host": connection.host_header, **request.headers}
    if body is not None or request.method in ("POST", "PUT"):
        size = len(body or b"") if isinstance(body, bytes | Pieces | None) else body.size
        headers["Content-Length"] = str(size)
    head = head_of(request.method, target, headers)
    if isinstance(body, bytes | None):
        return head, body
    return head, iter(body.parts) if isinstance(body, Pieces) else _pieces(body)


def _connect(connection: Connection, timeout_s: float) -> None:
    """Connect, unless the connection is open.

    Raises:
        NoAnswer: When no attempt could succeed.
        OSError: When this one did not.
    """
    try:
        connection.open(min(CONNECT_S, timeout_s)).settimeout(timeout_s)
    except CertificateRefusedError as error:
        raise NoAnswer(_reason(error), lasting=True) from error
    except UnicodeError as error:
        raise NoAnswer("its host name is not valid", lasting=True) from error


def _answered(
    connection: Connection, head: bytes, body: bytes | Iterator[bytes] | None, *, is_head: bool
) -> Response:
    """Send a request and read the head of its response."""
    try:
        connection.send(head, body)
    except (BrokenPipeError, ConnectionResetError) as error:
        # A server that refuses a body answers before it has read all of it, and closes.
        try:
            response = connection.response(bodiless=is_head)
        except (OSError, ValueError):
            raise error from None
        response.closing = True
        return response
    return connection.response(bodiless=is_head)


def _received(response: Response, target: LongReply | None) -> bytes:
    """Return the body of a response; a successful one is written to the target, if there is one."""
    if target is None or response.status >= FIRST_ERROR:
        return response.read()
    writable = target.open()
    buffer = memoryview(bytearray(_BLOCK_BYTES))  # used again: the kernel clears new memory first
    while not response.is_read:
        count = response.read_into(buffer)
        writable.write(buffer[:count])
    return b""


def _pieces(body: LongBody) -> Iterator[bytes]:
    left, stream = body.size, body.open()
    while left:
        piece = stream.read(min(_BLOCK_BYTES, left))
        if not piece:
            raise NoAnswer("what is sent has become shorter meanwhile", lasting=True)
        left -= len(piece)
        yield piece


def _reason(error: Exception) -> str:
    """Return what is wrong, for a person."""
    strerror = getattr(error, "strerror", None)
    return str(strerror or error or type(error).__name__)
