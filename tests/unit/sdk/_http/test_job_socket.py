"""Requests to the supervisor of a slot."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from cloud import CloudConnectionError
from cloud._client.current_job import CurrentJob
from cloud._http.job_socket import MOST_RANGES, SupervisorClient
from picloud_model import wire
from picloud_model.job_socket import address

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def supervisor(replies: list[bytes]) -> Iterator[tuple[str, list[wire.JobSocketRequest]]]:
    """A supervisor that gives these replies; the name of its socket and what it has received."""
    name = f"test-{os.getpid()}-{threading.get_ident()}"
    received: list[wire.JobSocketRequest] = []
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(address(name))
        listener.listen()

        def serve() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with closing(connection), connection.makefile("rb") as lines:
                    request = wire.decode(lines.readline(), wire.JobSocketRequest, wire.JSON)
                    received.append(request)
                    with suppress(OSError):  # the job may have closed the connection
                        connection.sendall(reply)
                        lines.read()

        thread = threading.Thread(target=serve)
        thread.start()
        yield name, received
        thread.join(10)


def grant(token: str) -> bytes:
    """The reply to a request for a token."""
    return wire.encode(wire.JobGrant(url="http://x", token=token, jid=1), wire.JSON) + b"\n"


def test_a_grant_has_the_url_and_the_token() -> None:
    """The job's own, which opens the API while it runs."""
    with supervisor([grant("t1")]) as (name, received):
        granted = SupervisorClient(name).grant()

    assert (granted.url, granted.token) == ("http://x", "t1")
    assert received == [wire.JobSocketRequest()]


def test_without_a_supervisor_there_is_an_error() -> None:
    """Nothing can be requested from the API then."""
    with pytest.raises(CloudConnectionError, match="The slot of this job does not answer"):
        SupervisorClient("nobody").grant()


def test_a_blocked_job_reports_what_it_waits_for() -> None:
    """Not more ranges than a message may hold."""
    open_ = [(2 * jid, 2 * jid) for jid in range(1, MOST_RANGES + 10)]

    with supervisor([b""]) as (name, received), SupervisorClient(name).blocked(open_, timed=True):
        pass

    assert received == [wire.JobSocketRequest(awaiting=open_[:MOST_RANGES], timed=True)]


def test_without_a_supervisor_a_job_just_waits() -> None:
    """The report is an optimization."""
    with SupervisorClient("nobody").blocked([(1, 1)], timed=False):
        pass


def test_a_token_is_requested_again_for_the_next_job() -> None:
    """A process runs one job after another."""
    jids = iter([1, 1, 2])
    with supervisor([grant("t1"), grant("t2")]) as (name, _):
        job = CurrentJob(SupervisorClient(name), lambda: next(jids))

        tokens = [job.address().key for _ in range(3)]

    assert tokens == ["t1", "t1", "t2"]
