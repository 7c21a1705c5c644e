"""The guard of connections: heads and bodies arrive in time, and strangers are bounded.

A stranger is a connection of which no request has had a valid credential.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from picloud_api.resources.body import KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD_S: Final = 10.0
"""How long a connection may take to send the head of a request, or its first byte."""
BODY_S: Final = 30.0
"""How long a body may take, if it does not arrive at `BODY_RATE`."""
BODY_RATE: Final = 16 * 1024
"""Bytes a second that a large body has to arrive at."""
HEAD_BYTES: Final = 64 * 1024
"""Longest head of a request; what arrives together with its end is not counted."""
MOST_STRANGERS: Final = 1000
"""Most connections of strangers in one process; the oldest of them are closed."""


class _Phase(Enum):
    """What a connection sends."""

    HEAD = 0
    BODY = 1
    NOTHING = 2


class GuardedProtocol(HttpToolsProtocol):
    """A connection that is closed when it sends too slowly or too much."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._phase = _Phase.HEAD
        self._begun_at = self.loop.time()
        self._sent_bytes = 0
        self._is_known = False

    @property
    def is_stranger(self) -> bool:
        """Whether no request of this connection has had a valid credential."""
        if not self._is_known:
            self._is_known = self.scope is not None and KNOWN in self.scope
        return not self._is_known

    def is_overdue(self, now: float) -> bool:
        """Whether the head or the body of a request should have arrived by now."""
        elapsed_s = now - self._begun_at
        if self._phase is _Phase.HEAD:
            return elapsed_s > HEAD_S
        return self._phase is _Phase.BODY and elapsed_s > BODY_S + self._sent_bytes / BODY_RATE

    @property
    def begun_at(self) -> float:
        """When it was opened, or began to send its latest request."""
        return self._begun_at

    def rest(self) -> None:
        """Let a connection that another process has handed over rest; its sender is known."""
        self._phase, self._is_known = _Phase.NOTHING, True

    def abort(self) -> None:
        """Close the connection, and forget what it has sent and is to be sent."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, unless the head has become too long."""
        self._sent_bytes += len(data)
        super().data_received(data)
        if self._phase is _Phase.HEAD and self._sent_bytes > HEAD_BYTES:
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin with the head of a request."""
        if not self._is_known:
            _ = self.is_stranger  # the scope of the last request, which says so, is replaced
        super().on_message_begin()
        self._phase, self._begun_at, self._sent_bytes = _Phase.HEAD, self.loop.time(), 0

    def on_headers_complete(self) -> None:
        """Begin with the body of a request; headers that follow it are ignored."""
        self._phase = _Phase.BODY
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = []  # for trailers; the request has the list that was here

    def on_message_complete(self) -> None:
        """End a request; the connection may rest until the next one."""
        self._phase = _Phase.NOTHING
        super().on_message_complete()


def sweep(connections: Iterable[object], now: float, most_strangers: int = MOST_STRANGERS) -> None:
    """Close the connections that are overdue, and the oldest of too many strangers."""
    guarded = [each for each in connections if isinstance(each, GuardedProtocol)]
    strangers = []
    for connection in guarded:
        if connection.is_overdue(now):
            connection.abort()
        elif connection.is_stranger:
            strangers.append(connection)
    strangers.sort(key=lambda each: each.begun_at)
    for connection in strangers[: max(0, len(strangers) - most_strangers)]:
        connection.abort()
