"""The answer of `/v1/health`."""

from __future__ import annotations

from picloud_model import wire


def test_health_names_each_port() -> None:
    """In JSON, for people and load balancers."""
    port = wire.PortHealth(port="state", adapter="sqlite", healthy=True, seconds=0.5)
    health = wire.Health(healthy=True, version="1", ports=[port])

    assert wire.encode(health, wire.JSON) == (
        b'{"healthy":true,"version":"1","ports":[{"port":"state","adapter":"sqlite",'
        b'"healthy":true,"seconds":0.5}]}'
    )
