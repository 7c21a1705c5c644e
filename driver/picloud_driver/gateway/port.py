"""The gateway port: carries TCP streams between clients and the slots of jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class StreamTickets(msgspec.Struct, frozen=True):
    """The port of a gateway, at the server's host, and a ticket for each end of a stream."""

    port: int
    client: str
    slot: str

    def __repr__(self) -> str:
        return f"StreamTickets(port={self.port!r})"


class SlotTicket(msgspec.Struct, frozen=True):
    """The port of a gateway, at the server's host, and a ticket for the slot's end of a stream."""

    port: int
    ticket: str

    def __repr__(self) -> str:
        return f"SlotTicket(port={self.port!r})"


class PublicHost(msgspec.Struct, frozen=True):
    """The host at which public ports of jobs are reached.

    Ports of which the options of a job say nothing are public if they are `by_default`.
    """

    address: str = "127.0.0.1"
    by_default: bool = True


class GatewayPort(ABC):
    """Carries bytes between two connections that present the tickets of one stream.

    Each ticket is valid once, for `TICKET_S`. A stream ends within 2 s after either of its ends or
    the gateway has ended. Each end is read only as fast as the other one accepts bytes, and may
    send its last byte before the other one does. Clients need no ticket at a port that was
    published.
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
    async def publish(self, name: str, invite: Callable[[SlotTicket], Awaitable[None]]) -> int:
        """Listen for a name; return the port, which stays the same while the gateway runs.

        Args:
            name: What the port stands for.
            invite: Called for each client that connects, with the ticket of its slot. If it raises
                a `PiCloudError`, the client's connection is closed.

        Raises:
            RequestRefused: When jobs of this stack cannot be reached through a gateway.
            Unavailable: When no gateway can be started now, or no port is left.
        """

    @abstractmethod
    async def withdraw(self, name: str) -> None:
        """Stop listening for a name, if it was published; open streams go on."""

    @abstractmethod
    async def close(self) -> None:
        """End the gateway, and all streams with it."""
