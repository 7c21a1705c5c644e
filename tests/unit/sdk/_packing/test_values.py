"""Results as arguments: where they are refused, and in what order they are read."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, CloudTypeError

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.unit.sdk.fake_server import FakeServer


def total(*values: int) -> int:
    """Add values."""
    return sum(values)


def test_a_value_is_for_arguments_only(client: Client) -> None:
    """Elsewhere nothing would read it."""
    value = client.call(abs, 1).value

    with pytest.raises(CloudTypeError, match="in the arguments of a job"):
        pickle.dumps(value)
    with pytest.raises(CloudException, match="in the arguments of a job"):
        client.call(lambda: value)
    with pytest.raises(CloudException, match="in the arguments of a job"):
        client.call(total, value, _fast_serialization=2)


def test_results_are_read_by_one_request(client: Client, server: FakeServer) -> None:
    """However many arguments need them; a result that is needed twice is one object."""
    jobs = client.map(abs, range(3))
    for jid in jobs.range:
        server.done(jid, [jid])
    server.batches.clear()
    client.call(total, jobs[0].value, {"all": jobs.value}, [jobs[0].value, jobs[0:0].value])
    sent = len(server.sent)

    with current_client(client):
        ((args, _),) = server.arguments()

    assert args == ([1], {"all": [[1], [2], [3]]}, [[1], []])
    assert args[0] is args[2][0] is args[1]["all"][0]
    assert [path.rpartition("/")[2] for path in server.paths()[sent:]] == ["wait"]
