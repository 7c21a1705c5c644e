"""Connections to the server: one pool of urllib3 for each process.

Imported at the first request only: importing urllib3 takes longer than the rest of `import cloud`.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Any, Final

import urllib3
from picloud_model.wire import MAX_RESULT_BYTES
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, SSLError

from cloud._http.exchange import HttpReply, HttpRequest, NoAnswer

CONNECT_S: Final = 5.0
"""Longest time to wait for a connection."""
_MOST: Final = 64
"""Most connections for threads that send requests at the same time; opened when needed."""
_BLOCK_BYTES: Final = 256 * 1024
"""How much of a long body is read and sent at a time."""
LARGEST_REPLY: Final = MAX_RESULT_BYTES + 1024 * 1024
"""The longest body of a reply: the largest result, and room for the rest."""


class Connections:
    """Carries requests to one server, and to the blob store that the server refers to.

    Threads may share it. A forked child opens its own connections: two processes that read from one
    socket would receive each other's replies.
    """

    def __init__(self, url: str) -> None:
        parsed = urllib3.util.parse_url(url)
        self._url = url
        self._prefix = (parsed.path or "").rstrip("/")
        self._pid = 0
        self._server: urllib3.HTTPConnectionPool
        self._others: urllib3.PoolManager

    def exchange(self, request: HttpRequest) -> HttpReply:
        """Send a request and wait for the whole reply.

        Raises:
            NoAnswer: When no reply arrives.
        """
        if self._pid != os.getpid():
            self._open()
        timeout = urllib3.Timeout(connect=min(CONNECT_S, request.timeout_s), read=request.timeout_s)
        absolute = not request.url.startswith("/")
        target = self._others if absolute else self._server
        body: Any = request.body
        headers = request.headers
        if body is not None and not isinstance(body, bytes):
            headers = {**headers, "Content-Length": str(body.size)}
            body = body.open()
        try:
            response = target.urlopen(
                request.method,
                request.url if absolute else self._prefix + request.url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            received = _bounded_body(response)
        except (SSLError, LocationValueError) as error:
            raise NoAnswer(_reason(error), lasting=True) from error
        except HTTPError as error:
            raise NoAnswer(_reason(error)) from error
        return HttpReply(response.status, response.headers, received)

    def close(self) -> None:
        """Close connections; the next exchange opens new ones."""
        if self._pid == os.getpid():
            self._server.close()
            self._others.clear()
        self._pid = 0

    def _open(self) -> None:
        options: dict[str, Any] = {"socket_options": _socket_options(), "blocksize": _BLOCK_BYTES}
        self._server = urllib3.connection_from_url(self._url, maxsize=_MOST, **options)
        self._others = urllib3.PoolManager(maxsize=_MOST, **options)
        self._pid = os.getpid()


def _bounded_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read a body, unless it is longer than any that a server of ours sends.

    Raises:
        NoAnswer: When it is.
    """
    length = response.headers.get("Content-Length", "")
    is_declared = length.isascii() and length.isdigit()
    if is_declared and int(length) <= LARGEST_REPLY:
        body = response.data
    else:
        body = b"" if is_declared else response.read(LARGEST_REPLY + 1)
        if is_declared or len(body) > LARGEST_REPLY:
            response.close()
            raise NoAnswer("its answer is too large", lasting=True)
    response.release_conn()
    return bytes(body)


def _socket_options() -> list[tuple[int, int, int]]:
    """Detect a peer that has vanished within 10 s, where the system supports it."""
    options = [
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ]
    for name, value in (
        ("TCP_KEEPIDLE", 4),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 2),
        ("TCP_USER_TIMEOUT", 8000),
    ):
        if hasattr(socket, name):
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


def _reason(error: HTTPError) -> str:
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    text = re.sub(r"\[Errno -?\d+\] ", "", str(cause))
    return text.rpartition(": ")[2] or type(cause).__name__
