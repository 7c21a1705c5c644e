"""What the SDK's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client


@pytest.fixture
def server() -> FakeServer:
    """A server in this process."""
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> Client:
    """A client that talks to it."""
    return client_for(server)


@pytest.fixture
def as_current(client: Client) -> Iterator[None]:
    """Have the functions of `cloud` use the client of the test."""
    with current_client(client):
        yield
