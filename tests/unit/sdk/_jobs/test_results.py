"""Iterating over results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, CloudTimeoutError
from cloud._jobs.results import AHEAD
from picloud_model import ranges

if TYPE_CHECKING:
    from cloud._client.client import Client
    from picloud_model import wire

    from tests.unit.sdk.fake_server import FakeServer


def test_results_come_in_the_order_of_the_jids(server: FakeServer, client: Client) -> None:
    """Whatever the order in which jobs end."""
    for jid in (3, 1, 2):
        server.done(jid, f"r{jid}")

    assert list(client.iresult([2, 3, 1])) == ["r2", "r3", "r1"]


def test_after_an_error_the_next_result_follows(server: FakeServer, client: Client) -> None:
    """`next` raises once for each failed job."""
    server.done(1, "r1")
    server.failed(2, ValueError("no"))
    server.done(3, "r3")
    iterator = client.iresult([1, 2, 3])

    assert next(iterator) == "r1"
    with pytest.raises(CloudException, match="no"):
        next(iterator)
    assert next(iterator) == "r3"
    assert next(iterator, None) is None


def test_after_a_timeout_the_same_result_is_awaited(server: FakeServer, client: Client) -> None:
    """No result is lost."""
    iterator = client.iresult([1], timeout=0)

    with pytest.raises(CloudTimeoutError):
        next(iterator)
    server.done(1, "late")

    assert next(iterator) == "late"


def test_unordered_results_are_pairs(server: FakeServer, client: Client) -> None:
    """Failed jobs are left out."""
    server.done(1, "r1")
    server.failed(2, ValueError("no"))
    server.done(3, "r3")

    assert dict(client.iresult_unordered([1, 2, 3])) == {1: "r1", 3: "r3"}


def test_results_as_jobs_end_lose_no_error(server: FakeServer, client: Client) -> None:
    """`unordered=True`: a failed job raises once, or its error takes the place of its result; a
    timeout loses nothing, and a jid that occurs twice has one result.
    """
    server.done(2, "r2")
    iterator = client.iresult([1, 2, 2, 3], timeout=0, unordered=True)
    assert next(iterator) == "r2"
    with pytest.raises(CloudTimeoutError):
        next(iterator)
    server.failed(3, ValueError("no"))
    with pytest.raises(CloudException, match="no"):
        next(iterator)
    server.done(1, "r1")
    assert list(iterator) == ["r1"]

    kept = list(client.iresult([1, 2, 3], ignore_errors=True, unordered=True))
    assert sorted(str(each) for each in kept)[1:] == ["r1", "r2"]
    assert sum(isinstance(each, CloudException) for each in kept) == 1


def test_only_a_window_of_a_large_map_is_requested(server: FakeServer, client: Client) -> None:
    """The window moves with the results that were returned."""
    requested: list[int] = []

    def note(request: wire.WaitRequest) -> None:
        requested.append(ranges.count(request.jids))

    server.on_wait = note
    for jid in range(1, 2 * AHEAD + 1):
        server.done(jid, jid)

    assert list(client.iresult(range(1, 2 * AHEAD + 1))) == list(range(1, 2 * AHEAD + 1))
    assert max(requested) == AHEAD
