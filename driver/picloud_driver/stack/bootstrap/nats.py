"""What NATS needs: as many servers as each queue has copies, and copies of older queues."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from picloud_driver.nats.administrator import NatsAdministrator
from picloud_driver.stack.bootstrap.change import Change
from picloud_driver.stack.servers.nats import access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.stack.addresses import VendorServer
    from picloud_driver.stack.bootstrap.keys import KeyFile

Result = TypeVar("Result")


def changes(server: VendorServer, keys: KeyFile, *, adopt: bool) -> list[Change]:  # noqa: ARG001
    """Return what NATS lacks; see `consul.changes`."""

    async def look(nats: NatsAdministrator) -> list[str]:
        await nats.require_servers()
        return await nats.fewer()

    def replicate() -> None:
        _run(server, NatsAdministrator.replicate)

    fewer = _run(server, look)
    text = f"{access(server).replicas} copies of queues that have fewer"
    return [Change(text, replicate)] if fewer else []


def _run(
    server: VendorServer, operation: Callable[[NatsAdministrator], Awaitable[Result]]
) -> Result:
    async def run() -> Result:
        nats = NatsAdministrator(access(server))
        try:
            return await operation(nats)
        finally:
            await nats.close()

    # In a thread, as it is also called where an event loop runs.
    with ThreadPoolExecutor(1, "nats") as thread:
        return thread.submit(asyncio.run, run()).result()
