"""`/v1/health`: open to all, and 503 while a port fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def test_a_healthy_server_is_200(http: HttpApi) -> None:
    """Without a credential, the reply names each port and its adapter."""
    result = await http.send("GET", "/v1/health", credential="")

    health = wire.decode(result.content, wire.Health)
    assert (result.status_code, health.healthy) == (200, True)
    names = [port.port for port in health.ports]
    assert names == ["state", "blobs", "queues", "secrets", "scheduler"]


async def test_a_server_with_a_failing_port_is_503(api: ApiHarness, http: HttpApi) -> None:
    """The status is enough for a load balancer; the body says which port fails, and why."""
    api.scheduler.failure = Unavailable("Nomad does not answer.")

    result = await http.send("GET", "/v1/health")

    failing = [port for port in wire.decode(result.content, wire.Health).ports if not port.healthy]
    assert result.status_code == 503
    assert [(port.port, port.detail) for port in failing] == [
        ("scheduler", "Nomad does not answer.")
    ]
