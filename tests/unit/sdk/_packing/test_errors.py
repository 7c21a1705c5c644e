"""The error of packing: one sentence that names the culprit, also for users of the SDK."""

from __future__ import annotations

import threading

import cloud
import pytest
from cloud._packing.errors import PackingError
from cloud._packing.errors import PackingError as Raised
from cloud._packing.packer import Packer

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for


def test_it_is_raised_by_the_room() -> None:
    """Callers catch it by the name that the room exports."""
    assert PackingError is Raised

    with pytest.raises(PackingError, match=r"^Cannot send 7: it is not a function"):
        Packer().function(7)  # type: ignore[arg-type]


def test_users_see_it_as_a_cloud_exception() -> None:
    """The sentence is the same, and nothing was sent."""
    server = FakeServer()
    lock = threading.Lock()

    with (
        current_client(client_for(server)),
        pytest.raises(cloud.CloudException, match=r"^Cannot send lambda: .* 'lock' is a _thread"),
    ):
        cloud.call(lambda: lock)

    assert server.sent == []
