"""Health: whether each port of the server works."""

from __future__ import annotations

from picloud_model.wire.body import Answer


class PortHealth(Answer, frozen=True):
    """One port of the server: its adapter, whether it responds, and how fast."""

    port: str
    adapter: str
    healthy: bool
    seconds: float
    detail: str = ""


class Health(Answer, frozen=True):
    """`GET /v1/health`: 200 when every port responds, else 503."""

    healthy: bool
    version: str
    ports: list[PortHealth]
