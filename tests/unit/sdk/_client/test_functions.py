"""The functions of `import cloud`."""

from __future__ import annotations

import cloud

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for


def test_the_functions_use_the_current_client() -> None:
    """call, map, status, join, result and kill all go to one client."""
    server = FakeServer()

    with current_client(client_for(server)):
        jid = cloud.call(pow, 2, 10)
        jids = cloud.map(abs, [-1, 2])
        for each, value in ((1, 1024), (2, 1), (3, 2)):
            server.done(each, value)
        cloud.join(jids)
        cloud.kill(jid)

        assert (jid, jids) == (1, range(2, 4))
        assert cloud.status(jid) == "done"
        assert cloud.result(jids) == [1, 2]
        assert server.killed == [[(1, 1)]]
