"""`info` and `delete` in the client: the requests, and the values that users get."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud import CloudException
from cloud._jobs.info import RequestedKeys
from picloud_model import pack, wire
from picloud_model.info import DEFAULT_KEYS, InfoKey

from tests.unit.sdk.fake_server import FakeServer, client_for


@pytest.fixture
def server() -> FakeServer:
    """A server whose jobs have left this and that."""
    found = FakeServer()
    found.infos = {jid: {"stdout": f"out {jid}\n", "status": "done"} for jid in range(1, 30)}
    return found


def test_it_is_keyed_by_jid_in_the_order_asked(server: FakeServer) -> None:
    """The promise: "If a batch query is used, each jid is returned as a key in a dictionary." """
    infos = client_for(server).info([3, 1, 3], ["stdout"])

    assert list(infos.items()) == [(3, {"stdout": "out 3\n"}), (1, {"stdout": "out 1\n"})]


def test_many_jobs_are_one_request(server: FakeServer) -> None:
    """One round trip, whatever the number of jobs."""
    client_for(server).info(range(1, 29))

    assert server.paths() == ["POST /v1/jobs/info"]


def test_the_rest_is_asked_for_again(server: FakeServer) -> None:
    """An answer may hold only the first of the jobs."""
    server.most_outcomes = 3

    infos = client_for(server).info([*range(1, 6), 9, 10, 12], "status")

    assert list(infos) == [1, 2, 3, 4, 5, 9, 10, 12]
    assert [request.jids for request in server.asked_infos] == [
        [(1, 5), (9, 10), (12, 12)],
        [(4, 5), (9, 10), (12, 12)],
        [(10, 10), (12, 12)],
    ]


@pytest.mark.parametrize(
    ("requested", "keys"),
    [
        (None, [key.value for key in DEFAULT_KEYS]),
        ("stdout", ["stdout"]),
        (("stdout", "memory.usage"), ["stdout", "memory.usage"]),
        ({"swap"}, ["swap.usage", "swap.max_usage"]),
        ("all", [key.value for key in InfoKey]),
        (iter(["env", "env"]), ["env"]),
    ],
)
def test_what_may_be_requested(requested: Any, keys: list[str]) -> None:
    """One name, any iterable of them, a group, or all."""
    assert RequestedKeys(requested).keys == keys


@pytest.mark.parametrize("requested", ["memory.", ["stdout", "Stdout"], "stdout,stderr"])
def test_a_wrong_name_names_the_right_ones(server: FakeServer, requested: Any) -> None:
    """Before a request is sent."""
    with pytest.raises(
        CloudException, match=r"There is no info key .*; (there are status|did you mean)"
    ):
        client_for(server).info(1, requested)

    assert server.sent == []


@pytest.mark.parametrize("requested", [7, [None], ["stdout", b"stderr"]])
def test_a_name_is_text(server: FakeServer, requested: Any) -> None:
    """Anything else is refused in one sentence."""
    with pytest.raises(CloudException, match="info_requested must be names of infos"):
        client_for(server).info(1, requested)


def test_a_group_is_a_dict_of_its_own(server: FakeServer) -> None:
    """`memory` holds what begins with it."""
    server.infos[1] = {"memory.usage": 5, "memory.max_usage": 9}

    infos = client_for(server).info(1, "memory")

    assert infos == {1: {"memory": {"usage": 5, "max_usage": 9, "failcnt": None}}}


def test_times_are_datetimes(server: FakeServer) -> None:
    """`created` and `finished` in UTC, or None."""
    server.infos[1] = {"created": 60.0}

    infos = client_for(server).info(1, ["created", "finished"])

    assert infos == {1: {"created": datetime(1970, 1, 1, 0, 1, tzinfo=UTC), "finished": None}}


def test_arguments_are_unpickled_here(server: FakeServer) -> None:
    """The server hands over parcels it has not looked into."""
    server.infos[1] = {
        "parcel": pack.seal(pickle.dumps(((1, 2), {"a": 3}))),
        "body": wire.Content("", 0, pack.seal(pickle.dumps(divmod))),
    }

    infos = client_for(server).info(1, ["args", "kwargs", "func_body"])

    assert infos == {1: {"args": (1, 2), "kwargs": {"a": 3}, "func_body": divmod}}


def test_what_does_not_unpickle_here_says_so(server: FakeServer) -> None:
    """Asked for by name it is an error; among everything else it is None."""
    server.infos[1] = {"parcel": pack.seal(b"cnowhere\nthing\n."), "label": "a"}
    client = client_for(server)

    with pytest.raises(CloudException, match=r"^Job 1: Cannot read the arguments: .*nowhere"):
        client.info(1, "args")

    infos = client.info(1, "all")[1]
    assert (infos["args"], infos["label"]) == (None, "a")


def test_delete_names_jobs(server: FakeServer) -> None:
    """In as few ranges as there are; how many were deleted comes back."""
    assert client_for(server).delete([5, 1, 2, 2]) == 3

    assert server.deleted == [(1, 2), (5, 5)]


@pytest.mark.parametrize("jids", [None, "1", [0], 2.0])
def test_delete_wants_jids(server: FakeServer, jids: Any) -> None:
    """There is no deleting of everything by accident."""
    with pytest.raises(CloudException, match="jids must be whole numbers from 1"):
        client_for(server).delete(jids)

    assert server.sent == []
