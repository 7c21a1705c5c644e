"""The interface below the transport."""

from __future__ import annotations

import pytest
from cloud._http.connections import Connections
from cloud._http.exchange import HttpRequest, NoAnswer

from tests.unit.sdk.fake_server import FakeServer


def test_the_network_and_the_fake_server_have_the_same_interface() -> None:
    """A transport works with either."""
    assert {"exchange", "close"} <= set(dir(FakeServer)) & set(dir(Connections))


@pytest.mark.parametrize(("fault", "stored"), [("before", 0), ("after", 1)])
def test_without_a_reply_it_is_not_known_whether_the_request_arrived(
    fault: str, stored: int
) -> None:
    """A blob may or may not be stored."""
    server = FakeServer()
    server.faults = [fault]
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    request = HttpRequest(
        method="PUT", url=f"/v1/blobs/{digest}", headers={}, body=b"abc", timeout_s=1.0
    )

    with pytest.raises(NoAnswer):
        server.exchange(request)

    assert len(server.blobs) == stored
