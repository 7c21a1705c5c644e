"""The gateway port: carries TCP streams between clients and the slots of jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import ClassVar

import msgspec


class StreamTickets(msgspec.Struct, frozen=True):
    """The port of a gateway, and a ticket for each end of a stream.

    The gateway is at the server's host, unless `host` and `slot_host` name others, for the client
    and the slot.
    """

    port: int
    client: str
    slot: str
    host: str = ""
    slot_host: str = ""

    def __repr__(self) -> str:
        return f"StreamTickets(port={self.port!r})"


class SlotTicket(msgspec.Struct, frozen=True):
    """The port of a gateway, and a ticket for the slot's end of a stream.

    The gateway is at the server's host, unless `host` names another one.
    """

    port: int
    ticket: str
    host: str = ""

    def __repr__(self) -> str:
        return f"SlotTicket(port={self.port!r})"


class BrowserRequest(msgspec.Struct, frozen=True):
    """What a browser has sent to a gateway, with the names of headers in lower case.

    If it `is_open`, its connection was admitted before: this is a later request, or the connection
    goes on, as a WebSocket does.
    """

    method: str
    target: str
    headers: dict[str, str]
    is_open: bool = False

    def __repr__(self) -> str:
        return f"BrowserRequest(method={self.method!r})"


class Admission(msgspec.Struct, frozen=True):
    """A request of a browser that goes to a job, with these headers in place of its own.

    `invite` is called with the ticket of the slot. If it raises a `PiCloudError`, the connection
    is closed.
    """

    headers: dict[str, str]
    invite: Callable[[SlotTicket], Awaitable[None]]

    def __repr__(self) -> str:
        return "Admission()"


class Reply(msgspec.Struct, frozen=True):
    """What a browser is sent by the server itself: a whole reply of HTTP/1.1."""

    data: bytes

    def __repr__(self) -> str:
        return "Reply()"


class PublicHost(msgspec.Struct, frozen=True):
    """The host at which public ports of jobs are reached.

    Ports of which the options of a job say nothing are public if they are `by_default`.
    """

    address: str = "127.0.0.1"
    by_default: bool = True


class GatewayPort(ABC):
    """Carries bytes between two connections that present the tickets of one stream.

    Each ticket is valid once, for `TICKET_S`. A stream ends within 2 s after either of its ends or
    the gateway has ended, and when it has lasted or carried nothing for as long as is allowed.
    Any number of connections without a ticket does not keep new streams from opening. Each end is
    read only as fast as the other one accepts bytes, and may send its last byte before the other
    one does. Ports are published at one host, which may be another one than that of tickets.
    Clients need no ticket at a port that was published, nor browsers at theirs: the
    server decides on each of their requests, and every `CHECK_S` on connections that go on, each
    of which leads to one job. Cookies whose name begins with `picloud_` never reach a job.
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
    async def browse(
        self, port: int, decide: Callable[[BrowserRequest], Awaitable[Admission | Reply]]
    ) -> int:
        """Listen for browsers; return the port, which stays the same while the gateway runs.

        Args:
            port: The port to listen on, which several gateways of a machine may share; 0 for a
                free one.
            decide: Called with each request. If it raises a `PiCloudError`, the connection is
                closed.

        Raises:
            RequestRefused: When jobs of this stack cannot be reached through a gateway.
            Unavailable: When no gateway can be started now, or the port is taken.
        """

    @abstractmethod
    async def withdraw(self, name: str) -> None:
        """Stop listening for a name, if it was published; open streams go on."""

    @abstractmethod
    async def close(self) -> None:
        """End the gateway, and all streams with it."""
