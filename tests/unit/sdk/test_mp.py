"""`cloud.mp`."""

from __future__ import annotations

import cloud
from cloud import mp

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for


def test_it_has_the_functions_of_cloud() -> None:
    """Except for those that choose another server."""
    missing = set(cloud._functions.__all__) - set(mp.__all__)

    elsewhere = {"Job", "Jobs", "config", "set_dependency_whitelist", "setkey", "start_simulator"}
    assert missing == elsewhere
    assert all(getattr(mp, name).__doc__ for name in mp.__all__)


def test_its_server_is_not_that_of_cloud() -> None:
    """Each has jids of its own."""
    with current_client(client_for(FakeServer())):
        jid = mp.call(pow, 2, 10)
        try:
            assert mp.result(jid, 60) == 1024
            assert cloud.call(abs, -1) == 1
            assert mp.connection_info()["connection_type"] == "multiprocessing"
            assert not mp.is_simulated()
        finally:
            mp.close()
