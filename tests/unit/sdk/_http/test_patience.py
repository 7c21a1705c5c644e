"""Waiting while the server, or a service behind it, cannot be reached."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudTimeoutError
from cloud._http.patience import Patience
from cloud.errors import CloudConnectionError
from picloud_model.errors import Unavailable

from tests.unit.sdk.fake_server import problem

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.unit.sdk.fake_server import FakeServer

AWAY = CloudConnectionError("consul does not answer", retry=True, code="unavailable")


class Answered:
    """A transport that has had an answer, or not."""

    def __init__(self, *, has_answered: bool = True) -> None:
        self.has_answered = has_answered


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def patience(time: Time, limit_s: float | None, transport: Any = None) -> Patience:
    """The patience of a wait, over this time."""
    return Patience(transport or Answered(), limit_s, time.clock, time.sleep)


def test_without_a_limit_it_never_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Every few seconds it says what is missing and since when; it pauses each time."""
    time = Time()
    bearing = patience(time, None)

    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            bearing.bear(AWAY)

    assert time.now == 150.0
    assert len(caplog.messages) == 9
    assert caplog.messages[0].startswith("consul does not answer. Still waiting after 5 s:")


def test_a_limit_ends_it_with_the_error() -> None:
    """`cloud.config.patience_s` seconds of failures in a row, and not of all failures."""
    time = Time()
    bearing = patience(time, 2.0)

    for _ in range(3):
        bearing.bear(AWAY)
    bearing.recovered()
    for _ in range(4):
        bearing.bear(AWAY)
    with pytest.raises(CloudConnectionError, match="consul"):
        bearing.bear(AWAY)


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    """A wrong address is an error at once."""
    with pytest.raises(CloudConnectionError):
        patience(Time(), None, Answered(has_answered=False)).bear(AWAY)


def test_requests_are_repeated_until_one_is_enough() -> None:
    """Each may be held as long as the deadline allows; one that fails is repeated."""
    time, holds, replies = Time(), list[float](), iter([False, AWAY, True])
    waiting = patience(time, None)

    def attempt(hold_s: float) -> bool:
        holds.append(hold_s)
        time.now += 1.0
        reply = next(replies)
        if isinstance(reply, CloudConnectionError):
            raise reply
        return reply

    waiting.until(attempt, waiting.deadline(5.0), CloudTimeoutError)

    assert holds == [5.0, 4.0, 2.5]


@pytest.mark.parametrize("timeout_s", [0.0, 3.0])
def test_after_the_deadline_one_request_is_made_and_not_held(timeout_s: float) -> None:
    """What has happened until then still counts; then the wait is over."""
    time, holds = Time(), list[float]()
    waiting = patience(time, None)

    def attempt(hold_s: float) -> bool:
        holds.append(hold_s)
        time.now += hold_s
        return False

    with pytest.raises(CloudTimeoutError, match="late"):
        waiting.until(attempt, waiting.deadline(timeout_s), lambda: CloudTimeoutError("late"))

    assert holds == [*filter(None, [timeout_s]), 0.0]


@pytest.mark.parametrize("call", ["result", "join", "iresult", "wait_for"])
def test_a_wait_goes_on_when_the_server_is_back(
    server: FakeServer, client: Client, call: str
) -> None:
    """However it waits: requests fail for a while, and the result is there in the end."""
    jid = client.call(abs, -3)
    server.done(jid, 3)
    gone = problem(Unavailable("consul does not answer"))
    server.faults = [gone, "before", "after", gone]

    found: Any = {
        "result": lambda: client.result(jid),
        "join": lambda: client.join(jid),
        "iresult": lambda: list(client.iresult([jid])),
        "wait_for": lambda: client.wait_for_status(jid, "done"),
    }[call]()

    assert found == {"result": 3, "join": None, "iresult": [3], "wait_for": "done"}[call]
    assert server.faults == []


def test_a_timeout_holds_while_the_server_is_away(server: FakeServer, client: Client) -> None:
    """The time that the caller gave ends the wait, with what was missing as its cause."""
    jid = client.call(abs, -3)
    server.faults = ["before"] * 100

    with pytest.raises(CloudTimeoutError) as caught:
        client.result(jid, timeout=0)

    assert isinstance(caught.value.__cause__, CloudConnectionError)


def test_a_blob_store_that_is_away_loses_no_result(server: FakeServer, client: Client) -> None:
    """A large result is fetched again until the blob store answers."""
    jid = client.call(abs, -3)
    server.done(jid, b"x" * 400_000)
    server.faults = [None, *["before"] * 6]

    assert client.result(jid) == b"x" * 400_000
