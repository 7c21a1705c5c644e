"""Ports of the loopback address, on which every server of a stack listens."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Final

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from collections.abc import Collection

HOST: Final = "127.0.0.1"
_PORTS: Final = range(10_000, 20_000)
"""Below the ephemeral ports of clients, and below Nomad's dynamic ports."""


def free_ports(count: int, taken: Collection[int] = ()) -> list[int]:
    """Return ports that are free for TCP and UDP and not in `taken`.

    Raises:
        StackFault: When there are not enough.
    """
    chosen: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(chosen) == count:
            break
        if port not in taken and is_free(port):
            chosen.append(port)
    if len(chosen) < count:
        raise StackFault(f"No {count} ports of {_PORTS.start}-{_PORTS.stop - 1} are free.")
    return chosen


def is_free(port: int) -> bool:
    """Whether no program listens on a port of the loopback address."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            # As servers do, ignoring closing connections of an earlier server.
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                return False
    return True
