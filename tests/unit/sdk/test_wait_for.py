"""`cloud.wait_for`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException, CloudTimeoutError, wait_for

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def server() -> Iterator[FakeServer]:
    """A server in this process with one job that `cloud` uses."""
    fake = FakeServer()
    fake.next_jid = 2
    with current_client(client_for(fake)):
        yield fake


def test_a_port_that_is_open(server: FakeServer) -> None:
    """Where to connect to."""
    reachable = {"address": "10.0.0.1", "port": 31000}
    server.infos[1] = {"status": "processing", "ports": {"udp": {53: reachable}}}

    assert wait_for.port(1, 53, "udp", timeout=1) == reachable


def test_a_port_that_is_not_open_in_time(server: FakeServer) -> None:
    """The job runs, but does not listen."""
    server.infos[1] = {"status": "processing", "ports": None}

    with pytest.raises(CloudTimeoutError, match="listens on no tcp port 8000 yet"):
        wait_for.port(1, 8000, timeout=0)


def test_a_job_that_ended_never_listens(server: FakeServer) -> None:
    """Even without a timeout there is an end."""
    server.infos[1] = {"status": "done", "ports": None}
    server.done(1, None)

    with pytest.raises(CloudException, match="ended without listening on tcp port 8000"):
        wait_for.port(1, 8000)


@pytest.mark.parametrize(("port", "protocol"), [(0, "tcp"), (65_536, "tcp"), (80, "http")])
def test_impossible_ports_are_refused(server: FakeServer, port: Any, protocol: str) -> None:
    """Before anything is requested."""
    with pytest.raises(CloudException):
        wait_for.port(1, port, protocol)

    assert server.sent == []


def test_a_status_that_never_comes(server: FakeServer) -> None:
    """A final status does not change."""
    server.done(1, None)

    assert wait_for.status(1, ["done", "error"]) == "done"
    with pytest.raises(CloudException, match="ended as done and will never be processing or error"):
        wait_for.status(1, ["processing", "error"])
