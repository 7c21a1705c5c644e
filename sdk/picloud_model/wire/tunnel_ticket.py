"""Tickets of tunnels: what the server signs for each end of a stream, and a gateway checks."""

from __future__ import annotations

import hmac
import re
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Self

import msgspec

TICKET_S: Final = 30
"""How long a ticket is valid."""
SECRET_BYTES: Final = 32
_TICKET: Final = re.compile(
    r"pt_(?P<stream>[0-9a-f]{32})_(?P<end>client|slot)_(?P<until>[0-9]{1,12})_(?P<mac>[0-9a-f]{32})"
)


class StreamEnd(StrEnum):
    """The two ends of a stream."""

    CLIENT = "client"
    """Who asked for the stream."""
    SLOT = "slot"
    """The slot that runs the job."""

    @property
    def other(self) -> StreamEnd:
        """The opposite end."""
        return StreamEnd.SLOT if self is StreamEnd.CLIENT else StreamEnd.CLIENT


class TunnelTicket(msgspec.Struct, frozen=True):
    """The right to be one end of one stream, until a time.

    >>> ticket = TunnelTicket("0" * 32, StreamEnd.SLOT, until=60)
    >>> TunnelTicket.read(ticket.signed(b"k"), b"k", now=0) == ticket
    True
    >>> TunnelTicket.read(ticket.signed(b"another"), b"k", now=0)
    """

    stream: str
    end: StreamEnd
    until: int

    def signed(self, secret: bytes) -> str:
        """Return the ticket as it is sent."""
        return f"{self._text()}_{self._mac(secret)}"

    def _text(self) -> str:
        return f"pt_{self.stream}_{self.end}_{self.until}"

    def _mac(self, secret: bytes) -> str:
        return blake2b(self._text().encode(), key=secret, digest_size=16).hexdigest()

    @classmethod
    def read(cls, text: str, secret: bytes, now: float) -> Self | None:
        """Return a ticket that is genuine and still valid, or None for any other text."""
        match = _TICKET.fullmatch(text)
        if match is None:
            return None
        ticket = cls(match["stream"], StreamEnd(match["end"]), int(match["until"]))
        if not hmac.compare_digest(match["mac"], ticket._mac(secret)):
            return None
        return ticket if now <= ticket.until else None
