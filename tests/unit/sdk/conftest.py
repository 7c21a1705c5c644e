"""What the SDK's tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.sdk.stand_in import StandIn, client_of

if TYPE_CHECKING:
    from cloud._client.client import Client


@pytest.fixture
def server() -> StandIn:
    """A server in this process."""
    return StandIn()


@pytest.fixture
def client(server: StandIn) -> Client:
    """A client that talks to it."""
    return client_of(server)
