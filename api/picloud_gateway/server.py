"""A gateway's process: it listens, and ends with the server that started it."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from typing import TYPE_CHECKING

from picloud_model.wire.tunnel_ticket import SECRET_BYTES

from picloud_gateway.pairing import Pairing
from picloud_gateway.stream import StreamConnection

if TYPE_CHECKING:
    from picloud_gateway.settings import GatewaySettings


async def serve(settings: GatewaySettings, owner: int, ready: int) -> None:
    """Carry streams until the owner ends.

    Args:
        settings: Where to listen.
        owner: A pipe from the owner, which writes the secret of the tickets and closes it when it
            ends, even by kill -9.
        ready: Where the port is written, and a newline.
    """
    _raise_descriptor_limit()
    secret = os.read(owner, SECRET_BYTES)
    loop = asyncio.get_running_loop()
    pairing = Pairing(secret, time.time, loop.call_later)
    server = await loop.create_server(
        lambda: StreamConnection(pairing), settings.host, settings.port
    )
    os.write(ready, b"%d\n" % server.sockets[0].getsockname()[1])
    ended = asyncio.Event()
    loop.add_reader(owner, ended.set)
    await ended.wait()
    # Not awaited: open streams end with this process.
    server.close()
    pairing.close()


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system permits: a stream takes two."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
