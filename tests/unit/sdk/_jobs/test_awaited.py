"""Jobs that event loops and futures wait for: few threads, and everybody is notified."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from cloud._jobs.awaited import MOST_THREADS, Awaited
from picloud_model import errors

from tests.polling import until
from tests.unit.sdk.fake_server import problem

if TYPE_CHECKING:
    import pytest
    from cloud._client.client import Client

    from tests.unit.sdk.fake_server import FakeServer


def awaited(client: Client) -> Awaited:
    """Those of a client."""
    return Awaited(client.waiter, hold_s=0.05)


def test_each_is_notified_once(server: FakeServer, client: Client) -> None:
    """Of the result, or of the error; two may wait for one job, and the threads end."""
    held = threading.Event()
    server.on_wait = lambda _: held.wait(0.005) and None
    received: list[tuple[str, Any, Any]] = []
    jobs, waiting = client.map(abs, range(3)), awaited(client)

    for name in "ab":
        for jid in jobs.range:
            waiting.add(jid, lambda value, error, name=name: received.append((name, value, error)))
    server.done(1, "one")
    server.failed(2, ValueError("no"))
    server.done(3, "three")

    until(lambda: len(received) == 6, "all were notified")
    until(lambda: not waiting._threads, "the threads have ended")
    assert sorted(name for name, *_ in received) == ["a"] * 3 + ["b"] * 3
    assert {str(error) for _, _, error in received if error} == {"Job 2 failed: ValueError: no"}
    assert [value for name, value, _ in received if name == "a" and value] == ["one", "three"]


def test_a_new_job_does_not_wait_for_the_requests_of_others(
    server: FakeServer, client: Client
) -> None:
    """Another thread asks about it, up to a few threads."""
    held = threading.Event()
    polls: list[list[tuple[int, int]]] = []

    def on_wait(request: Any) -> None:
        polls.append(request.jids)
        if request.jids != [(9, 9)]:
            held.wait(20)

    server.on_wait = on_wait
    client.map(abs, range(9))
    waiting, received = awaited(client), list[Any]()
    for jid in range(1, MOST_THREADS):
        waiting.add(jid, lambda *_: None)
        until(lambda jid=jid: len(polls) == jid, "it is asked about")

    server.done(9, "quick")
    waiting.add(9, lambda value, _: received.append(value))

    until(lambda: received, "it was notified")
    assert received == ["quick"]
    for jid in range(1, MOST_THREADS):
        server.done(jid, None)
    held.set()
    until(lambda: not waiting._threads, "the threads have ended")


def test_nobody_waits_for_what_cannot_be_known(server: FakeServer, client: Client) -> None:
    """The error of the request is reported, and the next wait works."""
    received: list[Any] = []
    client.call(abs, -1)
    server.faults = [problem(errors.JobNotFound("There is no job 1 in your account."))]
    waiting = awaited(client)

    waiting.add(1, lambda _, error: received.append(error))
    until(lambda: received, "it was notified")
    server.done(1, 5)
    waiting.add(1, lambda value, _: received.append(value))
    until(lambda: len(received) == 2, "it was notified")

    assert str(received[0]) == "There is no job 1 in your account."
    assert received[1] == 5


def test_a_server_that_is_away_is_borne_with(
    server: FakeServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait goes on when it is back."""
    received: list[Any] = []
    server.done(client.call(abs, -1), 5)
    server.faults = ["before"] * 8

    awaited(client).add(1, lambda value, _: received.append(value))

    until(lambda: received, "it was notified", 20)
    assert received == [5]
