"""Pairing: which connections are the two ends of one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from picloud_model.wire.tunnel import PAIRING_S
from picloud_model.wire.tunnel_ticket import TICKET_S, StreamEnd, TunnelTicket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

HANDSHAKE_S: Final = 5.0
"""How long a connection may take to send its ticket."""
MOST_CONNECTIONS: Final = 4096
"""Connections that are open at the same time."""
MOST_WITHOUT_TICKET: Final = 1024
"""Connections that have sent no ticket yet; with each one more, the oldest of them is closed."""
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

    def detach(self) -> socket.socket:
        """Send what says that the other end is there; return the socket, no longer used here."""

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
        carry: Carries bytes between two ends from now on.
        count: Returns how many connections are carried.
    """

    def __init__(
        self,
        secret: bytes,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
        *,
        carry: Callable[[End, End], None],
        count: Callable[[], int],
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._call_later = call_later
        self._carry = carry
        self._count = count
        self._without_ticket: dict[End, Timer] = {}
        """In the order in which they have connected."""
        self._waiting: dict[tuple[str, StreamEnd], tuple[End, Timer]] = {}
        self._names: dict[End, tuple[str, StreamEnd]] = {}
        """What those that wait are waiting as."""
        self._used: dict[tuple[str, StreamEnd], int] = {}
        self._forget_at = 0.0

    def add(self, end: End) -> None:
        """Add a connection that has sent no ticket yet, and close it if none comes."""
        if self.is_full:
            end.refuse(f"The gateway carries {MOST_CONNECTIONS // 2} streams already.")
            return
        self._without_ticket[end] = self._call_later(HANDSHAKE_S, end.abort)
        if len(self._without_ticket) > MOST_WITHOUT_TICKET:
            oldest = next(iter(self._without_ticket))
            self._without_ticket.pop(oldest).cancel()
            oldest.abort()

    def heard(self, end: End) -> bool:
        """Record that a connection needs no ticket; return False if it is being closed."""
        timer = self._without_ticket.pop(end, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    @property
    def is_full(self) -> bool:
        """Whether no connection may be added."""
        return self._count() + len(self._waiting) >= MOST_CONNECTIONS

    def present(self, end: End, text: str) -> None:
        """Pair a connection that has sent a ticket, at once or when the other end is there."""
        if not self.heard(end):
            return
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
        waiting = self._take((stream, StreamEnd.CLIENT))
        if waiting is not None:
            waiting.refuse(_MISSING["slot"])

    def _pair(self, end: End, stream: str, kind: StreamEnd) -> None:
        other = self._take((stream, kind.other))
        if other is not None:
            self._carry(end, other)
            return
        name = (stream, kind)

        def give_up() -> None:
            self._take(name)
            end.refuse(_MISSING[kind.other])

        self._waiting[name] = (end, self._call_later(PAIRING_S, give_up))
        self._names[end] = name

    def _take(self, name: tuple[str, StreamEnd]) -> End | None:
        """Return what waits by a name, which waits no longer."""
        waiting = self._waiting.pop(name, None)
        if waiting is None:
            return None
        end, timer = waiting
        timer.cancel()
        del self._names[end]
        return end

    def remove(self, end: End) -> None:
        """Forget a connection that was closed."""
        self.heard(end)
        name = self._names.get(end)
        if name is not None:
            self._take(name)

    def close(self) -> None:
        """Close every connection that is not carried."""
        for end in [*self._without_ticket, *self._names]:
            end.abort()

    def _forget_expired(self, now: float) -> None:
        if now >= self._forget_at:
            self._forget_at = now + TICKET_S
            for name in [name for name, until in self._used.items() if until < now]:
                del self._used[name]
