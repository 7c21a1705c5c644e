"""Connections to the server: urllib3's pool, kept per process.

Imported at the first request only: urllib3 costs more than all else that `import cloud` does.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, MaxRetryError, SSLError

from cloud._http.exchange import NoAnswer, Reply, Sent

CONNECT_S: Final = 5.0
"""Longest time to wait for a connection."""
_MOST: Final = 64
"""Connections kept for threads that call at once; opened only when needed."""


class Connections:
    """Carries requests to one server, and to the blob store it points at.

    Threads may share it. A forked child opens its own connections, as two processes that read
    from one socket would take each other's answers.
    """

    def __init__(self, url: str) -> None:
        parsed = urllib3.util.parse_url(url)
        self._url = url
        self._prefix = (parsed.path or "").rstrip("/")
        self._pid = 0
        self._server: urllib3.HTTPConnectionPool
        self._others: urllib3.PoolManager

    def exchange(self, sent: Sent) -> Reply:
        """Send a request and wait for the whole answer.

        Raises:
            NoAnswer: When none came.
        """
        if self._pid != os.getpid():
            self._open()
        timeout = urllib3.Timeout(connect=min(CONNECT_S, sent.timeout_s), read=sent.timeout_s)
        absolute = not sent.url.startswith("/")
        target = self._others if absolute else self._server
        try:
            found = target.urlopen(
                sent.method,
                sent.url if absolute else self._prefix + sent.url,
                body=sent.body,
                headers=sent.headers,
                timeout=timeout,
                retries=False,
                redirect=False,
            )
        except (SSLError, LocationValueError) as error:
            raise NoAnswer(_reason(error), lasting=True) from error
        except HTTPError as error:
            raise NoAnswer(_reason(error)) from error
        return Reply(found.status, found.headers, found.data)

    def close(self) -> None:
        """Give back connections; the next exchange opens new ones."""
        if self._pid == os.getpid():
            self._server.close()
            self._others.clear()
        self._pid = 0

    def _open(self) -> None:
        options = _socket_options()
        self._server = urllib3.connection_from_url(self._url, maxsize=_MOST, socket_options=options)
        self._others = urllib3.PoolManager(maxsize=4, socket_options=options)
        self._pid = os.getpid()


def _socket_options() -> list[tuple[int, int, int]]:
    """Notice within 10 s that the other side is gone without a word, where the system can."""
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
