"""Health: each port is pinged, and a failure names its port."""

from __future__ import annotations

import asyncio

from picloud_api.usecases.operation.health import HealthCheck
from picloud_model.errors import Unavailable


class PingedPort:
    """A port whose ping works, or fails with an error."""

    adapter = "memory"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def ping(self) -> None:
        if self.error is not None:
            raise self.error


async def test_a_server_is_healthy_if_all_ports_are() -> None:
    """The reply names each port with its adapter, and the version of the server."""
    health = await HealthCheck({"state": PingedPort(), "blobs": PingedPort()}, "1.2.3").check()

    assert (health.healthy, health.version) == (True, "1.2.3")
    ports = [(port.port, port.adapter, port.healthy, port.detail) for port in health.ports]
    assert ports == [("state", "memory", True, ""), ("blobs", "memory", True, "")]


async def test_one_port_that_fails_makes_the_server_unhealthy() -> None:
    """The other ports are reported healthy; the message of the error is the detail."""
    failing = PingedPort(Unavailable("Consul does not answer."))

    health = await HealthCheck({"state": failing, "blobs": PingedPort()}, "1").check()

    assert not health.healthy
    details = {port.port: (port.healthy, port.detail) for port in health.ports}
    assert details == {"state": (False, "Consul does not answer."), "blobs": (True, "")}


async def test_ports_are_pinged_at_the_same_time() -> None:
    """A check takes as long as the slowest port: each ping here waits for the other."""
    barrier = asyncio.Barrier(2)

    class Meeting(PingedPort):
        async def ping(self) -> None:
            await barrier.wait()

    async with asyncio.timeout(30):
        health = await HealthCheck({"state": Meeting(), "blobs": Meeting()}, "1").check()

    assert health.healthy
