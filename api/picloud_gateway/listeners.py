"""Listeners: ports of the gateway, each of which stands for a port of a job."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.wire.gateway import (
    ArrivalNotice,
    BrowseOrder,
    DropOrder,
    ListeningNotice,
    ListenOrder,
    WithdrawOrder,
)

from picloud_gateway.stream import StreamConnection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from picloud_model.wire.gateway import GatewayNotice, GatewayOrder

    from picloud_gateway.browsers import Browsers
    from picloud_gateway.pairing import End, Pairing

BACKLOG: Final = 1024
"""Connections that the kernel holds until they are accepted; of others it drops the request."""
MOST_WAITING: Final = 256
"""Clients of one port that wait for a slot; more of them are closed at once."""
_STREAM_BYTES: Final = 16


class Listeners:
    """Listens for names, and reports who connects.

    Args:
        host: The address to listen on.
        pairing: Pairs clients with slots.
        notify: Sends a notice to the server.
        browsers: The port for browsers.
    """

    def __init__(
        self,
        host: str,
        pairing: Pairing,
        notify: Callable[[GatewayNotice], None],
        browsers: Browsers,
    ) -> None:
        self._host = host
        self._pairing = pairing
        self._notify = notify
        self._browsers = browsers
        self._servers: dict[str, asyncio.Server] = {}
        self._waiting = Counter[str]()

    async def obey(self, order: GatewayOrder) -> None:
        """Carry out an order of the server."""
        if isinstance(order, ListenOrder):
            await self._listen(order.name)
        elif isinstance(order, WithdrawOrder):
            server = self._servers.pop(order.name, None)
            if server is not None:
                server.close()
        elif isinstance(order, BrowseOrder):
            await self._browsers.listen(order.port)
        else:
            self._browsers.obey(order)
            if isinstance(order, DropOrder):
                self._pairing.drop(order.stream)

    async def _listen(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                lambda: PublicConnection(self._pairing, self, name), self._host, 0, backlog=BACKLOG
            )
        except OSError:
            self._notify(ListeningNotice(name, 0))
            return
        self._servers[name] = server
        self._notify(ListeningNotice(name, server.sockets[0].getsockname()[1]))

    def arrive(self, name: str, end: End) -> bool:
        """Let a client wait for a slot; return False if too many do already."""
        if self._waiting[name] >= MOST_WAITING:
            return False
        self._waiting[name] += 1
        stream = secrets.token_hex(_STREAM_BYTES)
        self._pairing.expect_slot(end, stream)
        self._notify(ArrivalNotice(name, stream))
        return True

    def leave(self, name: str) -> None:
        """Record that a client no longer waits."""
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name]


class PublicConnection(StreamConnection):
    """The client's end of a stream to a public port: it sends no ticket, only its own bytes."""

    greeting: ClassVar[bytes] = b""

    def __init__(self, pairing: Pairing, listeners: Listeners, name: str) -> None:
        super().__init__(pairing)
        self._listeners = listeners
        self._name = name
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the slot."""
        self._take(transport)
        self._transport.pause_reading()
        self._waits = not self._pairing.is_full and self._listeners.arrive(self._name, self)
        if not self._waits:
            self.abort()

    def detach(self) -> socket.socket:
        """Return the socket: its slot has come."""
        self._leave()
        return super().detach()

    def refuse(self, reason: str) -> None:
        """Close at once: the client expects bytes of the job, not a sentence."""
        del reason
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._waits:
            self._waits = False
            self._listeners.leave(self._name)
