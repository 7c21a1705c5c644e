"""The gateway port: carries TCP streams between clients and the slots of jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import msgspec


class StreamTickets(msgspec.Struct, frozen=True):
    """The port of a gateway, at the server's host, and a ticket for each end of a stream."""

    port: int
    client: str
    slot: str

    def __repr__(self) -> str:
        return f"StreamTickets(port={self.port!r})"


class GatewayPort(ABC):
    """Carries bytes between two connections that present the tickets of one stream.

    Each ticket is valid once, for `TICKET_S`. A stream ends within 2 s after either of its ends or
    the gateway has ended. Each end is read only as fast as the other one accepts bytes, and may
    send its last byte before the other one does.
    """

    adapter: ClassVar[str]
    """The name of the adapter."""

    @abstractmethod
    async def open(self) -> StreamTickets:
        """Return tickets for a new stream, over a gateway that is running.

        Raises:
            RequestRefused: When jobs of this stack cannot be reached through a gateway.
            Unavailable: When no gateway can be started now.
        """

    @abstractmethod
    async def close(self) -> None:
        """End the gateway, and all streams with it."""
