"""Pairing: which connections are the two ends of one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from picloud_model.wire.tunnel import PAIRING_S
from picloud_model.wire.tunnel_ticket import StreamEnd, TunnelTicket

if TYPE_CHECKING:
    from collections.abc import Callable

HANDSHAKE_S: Final = 5.0
"""How long a connection may take to send its ticket."""
MOST_CONNECTIONS: Final = 4096
"""Connections that are open at the same time."""
_REFUSED: Final = "The ticket is not valid; it may have been used, or be older than 30 s."
_MISSING: Final = {
    "client": "The client did not connect within 10 s.",
    "slot": "The slot of the job did not connect within 10 s.",
}


class Timer(Protocol):
    """A call that is due later."""

    def cancel(self) -> None:
        """Do not make it."""


class End(Protocol):
    """One connection, as pairing sees it."""

    def join(self, other: End) -> None:
        """Carry bytes to and from another end from now on."""

    def refuse(self, reason: str) -> None:
        """Send what is wrong, and close."""

    def abort(self) -> None:
        """Close at once."""


class Pairing:
    """Pairs connections by their tickets, each of which is valid once.

    Args:
        secret: What tickets are signed with.
        clock: Seconds since the epoch.
        call_later: Calls a function after some seconds.
    """

    def __init__(
        self,
        secret: bytes,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._call_later = call_later
        self._waiting: dict[tuple[str, StreamEnd], tuple[End, Timer]] = {}
        self._used: dict[tuple[str, StreamEnd], int] = {}
        self._ends: set[End] = set()

    def add(self, end: End) -> Timer:
        """Add a connection that has sent no ticket yet; return the timer that closes it."""
        self._ends.add(end)
        if len(self._ends) > MOST_CONNECTIONS:
            end.refuse(f"The gateway carries {MOST_CONNECTIONS // 2} streams already.")
        return self._call_later(HANDSHAKE_S, end.abort)

    def present(self, end: End, text: str) -> None:
        """Pair a connection that has sent a ticket, at once or when the other end is there."""
        now = self._clock()
        ticket = TunnelTicket.read(text, self._secret, now)
        name = (ticket.stream, ticket.end) if ticket else None
        if ticket is None or name is None or name in self._used:
            end.refuse(_REFUSED)
            return
        self._forget_expired(now)
        self._used[name] = ticket.until
        self._pair(end, ticket.stream, ticket.end)

    def expect_slot(self, end: End, stream: str) -> None:
        """Let a client, of which no ticket is required, wait for the slot's end of a stream."""
        self._pair(end, stream, StreamEnd.CLIENT)

    def drop(self, stream: str) -> None:
        """Refuse a client that waits for a slot: none will come."""
        waiting = self._waiting.pop((stream, StreamEnd.CLIENT), None)
        if waiting is not None:
            end, timer = waiting
            timer.cancel()
            end.refuse(_MISSING["slot"])

    def _pair(self, end: End, stream: str, kind: StreamEnd) -> None:
        name, opposite = (stream, kind), (stream, kind.other)
        if opposite in self._waiting:
            other, timer = self._waiting.pop(opposite)
            timer.cancel()
            end.join(other)
            other.join(end)
            return

        def give_up() -> None:
            del self._waiting[name]
            end.refuse(_MISSING[kind.other])

        self._waiting[name] = (end, self._call_later(PAIRING_S, give_up))

    def remove(self, end: End) -> None:
        """Forget a connection that was closed."""
        self._ends.discard(end)
        for name, (waiting, timer) in [*self._waiting.items()]:
            if waiting is end:
                timer.cancel()
                del self._waiting[name]

    def close(self) -> None:
        """Close every connection."""
        for end in [*self._ends]:
            end.abort()

    def _forget_expired(self, now: float) -> None:
        for name in [name for name, until in self._used.items() if until < now]:
            del self._used[name]
