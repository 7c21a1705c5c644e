"""`cloud.cloudconfig`: the call that applies settings; there is no settings file."""

from __future__ import annotations

import cloud
from cloud import cloudconfig

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for


def test_its_settings_are_those_of_cloud() -> None:
    """An old script sets them here, and calls of `cloud` use them."""
    assert cloudconfig.config is cloud.config


def test_a_flush_returns_nothing() -> None:
    """It commits what was set, and no job or request is made."""
    server = FakeServer()
    with current_client(client_for(server)):
        cloudconfig.flush_config()

    assert server.sent == []
