"""Settings of a gateway: the only module that reads its command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class GatewaySettings(msgspec.Struct, frozen=True):
    """Where a gateway listens; port 0 is any free one."""

    host: str
    port: int


def read(arguments: Sequence[str]) -> GatewaySettings:
    """Read the command line of `python -m picloud_gateway`.

    >>> read(["--host", "127.0.0.1"])
    GatewaySettings(host='127.0.0.1', port=0)
    """
    parser = argparse.ArgumentParser(
        prog="python -m picloud_gateway",
        description="Carries TCP streams between clients and jobs. PiCloud's server starts it, "
        "writes its secret to standard input and reads its port from standard output.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 for a free one")
    chosen = parser.parse_args(arguments)
    return GatewaySettings(chosen.host, chosen.port)
