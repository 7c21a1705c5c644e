"""A gateway's process: it listens, and ends with the server that started it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import time
from typing import TYPE_CHECKING

from picloud_model.wire import gateway
from picloud_model.wire.gateway import ListeningNotice
from picloud_model.wire.tunnel_ticket import SECRET_BYTES

from picloud_gateway.browsers import BrowserConnection, Browsers
from picloud_gateway.listeners import BACKLOG, Listeners
from picloud_gateway.pairing import Pairing
from picloud_gateway.relay import Relays
from picloud_gateway.stream import StreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.gateway import GatewayNotice

    from picloud_gateway.pairing import End
    from picloud_gateway.settings import GatewaySettings


async def serve(settings: GatewaySettings, owner: int, ready: int) -> None:
    """Carry streams until the owner ends.

    Args:
        settings: Where to listen.
        owner: A pipe from the owner, which writes the secret of the tickets, then orders, and
            closes it when it ends, even by kill -9.
        ready: Where notices are written, first the port for tickets.
    """
    _raise_descriptor_limit()
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), os.fdopen(owner, "rb", 0)
    )
    notices, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(ready, "wb", 0))
    relays = Relays(loop, settings.limits)
    secret = await orders.readexactly(SECRET_BYTES)

    def carry(one: End, other: End) -> None:
        for end, slot in ((one, other), (other, one)):
            if isinstance(end, BrowserConnection):
                browsers.join(end, slot)
                return
        relays.carry(one, other)

    pairing = Pairing(
        secret,
        time.time,
        loop.call_later,
        carry=carry,
        count=lambda: relays.count() + browsers.count(),
    )

    def notify(notice: GatewayNotice) -> None:
        notices.write(gateway.line(notice))

    browsers = Browsers(settings.hosts[0], pairing, notify, loop.call_later)
    server = await _listen(settings, lambda: StreamConnection(pairing))
    listeners = Listeners(settings.public_host, pairing, notify, browsers)
    port = server.sockets[0].getsockname()[1]
    notices.write(gateway.line(ListeningNotice("", port)))
    while order := await orders.readline():
        await listeners.obey(gateway.read_order(order))
    # Not awaited: open streams end with this process.
    server.close()
    pairing.close()
    relays.close()


async def _listen(
    settings: GatewaySettings, connect: Callable[[], asyncio.Protocol]
) -> asyncio.Server:
    """Listen on the first of the ports that is free at all hosts.

    Raises:
        OSError: When none is.
    """
    loop = asyncio.get_running_loop()
    *others, last = settings.ports
    for port in others:
        with contextlib.suppress(OSError):
            return await loop.create_server(connect, settings.hosts, port, backlog=BACKLOG)
    return await loop.create_server(connect, settings.hosts, last, backlog=BACKLOG)


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system permits: a stream takes two."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
