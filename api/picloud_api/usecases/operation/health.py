"""Health: pings every port."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

from picloud_model.errors import PiCloudError
from picloud_model.wire import Health, PortHealth

if TYPE_CHECKING:
    from collections.abc import Mapping

PING_S: Final = 5.0
"""How long a port may take to answer."""


class Pinged(Protocol):
    """The part of a port that a health check uses."""

    adapter: str

    async def ping(self) -> None:
        """Return if the port works; raise otherwise."""


class HealthCheck:
    """Pings all ports at once."""

    def __init__(self, ports: Mapping[str, Pinged], version: str) -> None:
        self._ports = ports
        self.version = version

    async def check(self) -> Health:
        """Return the health of each port."""
        ports = await asyncio.gather(*(_ping(name, port) for name, port in self._ports.items()))
        return Health(
            healthy=all(port.healthy for port in ports), version=self.version, ports=list(ports)
        )


async def _ping(name: str, port: Pinged) -> PortHealth:
    start = time.perf_counter()
    detail = ""
    try:
        async with asyncio.timeout(PING_S):
            await port.ping()
    except TimeoutError:
        detail = f"no answer within {PING_S:.0f} s"
    except PiCloudError as error:
        detail = error.message
    seconds = round(time.perf_counter() - start, 6)
    return PortHealth(
        port=name, adapter=port.adapter, healthy=not detail, seconds=seconds, detail=detail
    )
