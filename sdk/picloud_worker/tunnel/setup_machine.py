"""The shells of a setup machine in a container.

The server of a shell runs as root there, without a credential of the platform: its order has a
ticket for one stream, and the key by which clients recognise this machine.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_http.stream import open_stream
from picloud_model.wire.setup_machine import MachineShell

if TYPE_CHECKING:
    from collections.abc import MutableMapping


def serve(variables: MutableMapping[str, str]) -> None:
    """Serve one connection, and wait for the commands of its shells.

    Args:
        variables: The environment of this process, from which the order is removed.
    """
    from picloud_worker.tunnel import ssh_server  # noqa: PLC0415 - it needs a Unix

    shell = MachineShell.taken_from(variables)
    order, ssh = shell.order, shell.order.ssh
    if ssh is None:
        return
    host = order.gateway_host or shell.host
    with open_stream(host, order.gateway_port, order.ticket) as stream:
        asyncio.run(ssh_server.serve(stream, ssh, {**variables}, lambda: None))
