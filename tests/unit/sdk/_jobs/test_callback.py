"""Callbacks: called here, once, with the jid of each job that ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from cloud._arguments.options import CallOptions
from cloud._jobs.callback import Callbacks
from picloud_model import errors

from tests.polling import until
from tests.unit.sdk.fake_server import problem, transport_for

if TYPE_CHECKING:
    from cloud._client.client import Client
    from cloud._http.exchange import HttpReply

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture(autouse=True)
def patient(server: FakeServer) -> None:
    """The fake server replies immediately; the real server holds a request."""
    pause = threading.Event()
    server.on_wait = lambda _: pause.wait(0.005) and None


def test_the_jid_is_what_callbacks_get(server: FakeServer, client: Client) -> None:
    """A job that is done calls `_callback`, one that fails `_callback_on_error`."""
    good: list[int] = []
    bad: list[int] = []
    both: dict[str, Any] = {"_callback": good.append, "_callback_on_error": [bad.append]}
    first, second = client.call(abs, -1, **both), client.call(abs, -1, **both)

    server.done(first, 1)
    server.failed(second, ValueError("no"))

    until(lambda: good and bad, "both callbacks were called")
    assert (good, bad) == ([first], [second])


def test_a_map_calls_for_each_job_once(server: FakeServer, client: Client) -> None:
    """All functions of a list are called, in order, with the jid of every job of a map."""
    calls: list[tuple[str, int]] = []
    jids = client.map(
        abs,
        range(20),
        _callback=[lambda jid: calls.append(("a", jid)), lambda jid: calls.append(("b", jid))],
    )

    for jid in jids:
        server.done(jid, 0)

    until(lambda: len(calls) >= 40, "all were called")
    until(lambda: client._callbacks._thread is None, "the thread has ended")
    assert sorted(calls) == sorted((name, jid) for jid in jids for name in "ab")
    assert [calls.index(("a", jid)) < calls.index(("b", jid)) for jid in jids] == [True] * 20


def test_one_thread_waits_for_all(server: FakeServer, client: Client) -> None:
    """However many jobs have callbacks, one daemon thread asks, for all of them at once."""
    called: list[int] = []
    jids = [client.call(abs, -1, _callback=called.append) for _ in range(10)]

    threads = [each for each in threading.enumerate() if each.name == "cloud callbacks"]
    for jid in jids:
        server.done(jid, 1)
    until(lambda: len(called) == 10, "all were called")

    assert [thread.daemon for thread in threads] == [True]
    assert sorted(called) == jids


def test_without_callbacks_nobody_waits(server: FakeServer, client: Client) -> None:
    """A plain call starts no thread and sends no request but its own."""
    client.call(abs, -1)

    assert client._callbacks._thread is None
    assert server.paths() == ["POST /v1/jobs"]


def test_what_a_callback_raises_is_printed(
    server: FakeServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is not swallowed, and the other callbacks are called all the same."""
    called: list[int] = []

    def broken(jid: int) -> None:
        raise ValueError(f"no use for {jid}")

    jid = client.call(abs, -1, _callback=[broken, called.append])
    server.done(jid, 1)
    until(lambda: called, "the other was called")

    printed = capsys.readouterr().err
    assert f"the callback {broken.__qualname__} of job {jid} failed" in printed
    assert f"ValueError: no use for {jid}" in printed
    assert "_jobs/callback.py" not in printed


def test_a_callback_may_make_jobs_with_callbacks(server: FakeServer, client: Client) -> None:
    """A chain of calls, each made by the callback of the one before."""
    seen: list[int] = []

    def further(jid: int) -> None:
        seen.append(jid)
        if len(seen) < 3:
            server.done(client.call(abs, -1, _callback=further), 1)

    server.done(client.call(abs, -1, _callback=further), 1)

    until(lambda: len(seen) == 3, "the chain is through")
    assert seen == [1, 2, 3]


def test_a_server_that_is_away_loses_no_callback(server: FakeServer) -> None:
    """Once it answers again the callbacks are called."""
    called: list[int] = []
    server.faults = ["before"] * 40
    server.done(1, 1)

    Callbacks(transport_for(server), hold_s=0.01).add(
        range(1, 2), CallOptions(callback=(called.append,))
    )

    until(lambda: called, "the callback was called")


def test_a_rejection_is_printed_and_ends_the_wait(
    server: FakeServer, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jobs that the server no longer knows are given up."""
    refusal: HttpReply = problem(errors.JobNotFound("There is no job 1 in your account."))
    server.faults = [None, refusal]

    client.call(abs, -1, _callback=print)
    until(lambda: client._callbacks._thread is None, "the thread has ended")

    assert "some jobs get no callbacks: There is no job 1" in capsys.readouterr().err
