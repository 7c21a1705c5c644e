"""Requests to other servers: the blob store, by the presigned URLs that the API refers to.

Imported at the first such request only: importing urllib3 takes longer than all of `import cloud`.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Final

import urllib3
from picloud_http.connection import CONNECT_S
from picloud_http.response import LARGEST
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, SSLError

from cloud._http.exchange import FIRST_ERROR, HttpReply, HttpRequest, NoAnswer

if TYPE_CHECKING:
    from cloud._http.exchange import LongReply

_MOST: Final = 64
"""Most connections for threads that send requests at the same time; opened when needed."""
_BLOCK_BYTES: Final = 256 * 1024
"""How much of a long body is read and sent at a time."""


class PresignedRequests:
    """Carries requests to any server; threads may share it."""

    def __init__(self) -> None:
        options: dict[str, Any] = {"socket_options": _socket_options(), "blocksize": _BLOCK_BYTES}
        self._pools = urllib3.PoolManager(maxsize=_MOST, **options)

    def exchange(self, request: HttpRequest) -> HttpReply:
        """Send a request and wait for the whole reply.

        Raises:
            NoAnswer: When no reply arrives.
        """
        timeout = urllib3.Timeout(connect=min(CONNECT_S, request.timeout_s), read=request.timeout_s)
        body: Any = request.body
        headers = request.headers
        if body is not None and not isinstance(body, bytes):
            headers = {**headers, "Content-Length": str(body.size)}
            body = body.open()
        try:
            response = self._pools.urlopen(
                request.method,
                request.url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            received = _received(response, request.target)
        except (SSLError, LocationValueError) as error:
            raise NoAnswer(_reason(error), lasting=True) from error
        except HTTPError as error:
            raise NoAnswer(_reason(error)) from error
        replied = {name.lower(): value for name, value in response.headers.items()}
        return HttpReply(response.status, replied, received)

    def close(self) -> None:
        """Close connections; the next exchange opens new ones."""
        self._pools.clear()


def _received(response: urllib3.BaseHTTPResponse, target: LongReply | None) -> bytes:
    """Return the body of a reply; a successful one is written to the target, if there is one."""
    if target is None or response.status >= FIRST_ERROR:
        return _bounded_body(response)
    writable = target.open()
    try:
        for block in response.stream(_BLOCK_BYTES):
            writable.write(block)
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b""


def _bounded_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Read a body, unless it is longer than any that a server of ours sends.

    Raises:
        NoAnswer: When it is.
    """
    length = response.headers.get("Content-Length", "")
    is_declared = length.isascii() and length.isdigit()
    if is_declared and int(length) <= LARGEST:
        body = response.data
    else:
        body = b"" if is_declared else response.read(LARGEST + 1)
        if is_declared or len(body) > LARGEST:
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
