"""Settings of a gateway: the only module that reads its command line."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec
from picloud_model.wire.gateway import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Sequence


class GatewaySettings(msgspec.Struct, frozen=True):
    """Where a gateway listens for tickets: on the first of the ports that is free at all hosts.

    Port 0 is any free one. Public ports of jobs are at `public_host` only.
    """

    hosts: tuple[str, ...]
    limits: StreamLimits
    ports: tuple[int, ...] = (0,)
    public_host: str = ""


def read(arguments: Sequence[str]) -> GatewaySettings:
    """Read the command line of `python -m picloud_gateway`.

    >>> read(["--host", "127.0.0.1", "--idle", "60"]).limits
    StreamLimits(idle_s=60.0, longest_s=604800.0)
    """
    parser = argparse.ArgumentParser(
        prog="python -m picloud_gateway",
        description="Carries TCP streams between clients and jobs. PiCloud's server starts it, "
        "writes its secret to standard input and reads its port from standard output.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--public-host", default="", help="address of public ports of jobs")
    parser.add_argument("--slot-host", default="", help="address for slots, if it is another one")
    parser.add_argument("--slot-ports", default="0", help="ports it may take; 0 for a free one")
    usual = StreamLimits()
    for name, seconds, help_text in (
        ("--idle", usual.idle_s, "seconds without a byte after which a stream ends"),
        ("--longest", usual.longest_s, "seconds after which every stream ends"),
    ):
        parser.add_argument(name, type=float, default=seconds, help=help_text)
    chosen = parser.parse_args(arguments)
    everywhere = chosen.host in ("", "0.0.0.0", "::")  # noqa: S104 - with that of slots
    is_another = chosen.slot_host and not everywhere
    hosts = (chosen.host, chosen.slot_host) if is_another else (chosen.host,)
    limits = StreamLimits(chosen.idle, chosen.longest)
    ports = tuple(map(int, chosen.slot_ports.split(",")))
    return GatewaySettings(hosts, limits, ports, chosen.public_host or chosen.host)
