"""What NATS needs: as many servers as each queue has copies, and copies of older queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.nats.administrator import NatsAdministrator
from picloud_driver.stack.bootstrap.change import Change
from picloud_driver.stack.servers.nats import access, administer

if TYPE_CHECKING:
    from picloud_driver.stack.addresses import VendorServer
    from picloud_driver.stack.bootstrap.keys import KeyFile


def changes(server: VendorServer, keys: KeyFile, *, adopt: bool) -> list[Change]:  # noqa: ARG001
    """Return what NATS lacks; see `consul.changes`."""

    async def look(nats: NatsAdministrator) -> list[str]:
        await nats.require_servers()
        return await nats.fewer()

    def replicate() -> None:
        administer(server, NatsAdministrator.replicate)

    fewer = administer(server, look)
    text = f"{access(server).replicas} copies of queues that have fewer"
    return [Change(text, replicate)] if fewer else []
