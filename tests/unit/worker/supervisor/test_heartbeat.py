"""The heartbeat reports what runs, changes at once, and brings the server's answers."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import pytest
from picloud_http.connection import CONNECT_S, Connection
from picloud_model.errors import SlotRefused
from picloud_model.wire import AttemptRef
from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage
from picloud_worker.supervisor.heartbeat import Heartbeat, SlotJobs

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from tests.unit.worker.fake_api import FakeApi

A, B = AttemptRef("a" * 32, 0, 1), AttemptRef("b" * 32, 1, 1)


class MeanwhileConnection(Connection):
    """Calls a function while it connects for the first time."""

    meanwhile: Callable[[], None] | None = None

    def open(self, timeout_s: float = CONNECT_S) -> socket.socket:
        call, self.meanwhile = self.meanwhile, None
        if call is not None:
            call()
        return super().open(timeout_s)


@pytest.fixture
def heartbeat(api: FakeApi) -> Iterator[Heartbeat]:
    """A heartbeat that talks to the fake API."""
    client = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    heartbeat = Heartbeat(client, Outage(30.0, time.monotonic))
    yield heartbeat
    heartbeat.close()


def test_it_reports_the_jobs_of_the_slot(api: FakeApi, heartbeat: Heartbeat) -> None:
    """The running job and those held are reported; without jobs there is no request."""
    assert not api.seen("/v1/heartbeat")

    heartbeat.report(SlotJobs(running=(A,), holding=(B,)))
    (request,) = api.until(lambda: api.seen("/v1/heartbeat"))

    assert (request.running, request.holding) == ([A], [B])


def test_a_change_is_reported_at_once(api: FakeApi, heartbeat: Heartbeat) -> None:
    """Another job is reported although the poll for the first one still waits."""
    heartbeat.report(SlotJobs(running=(A,)))
    api.until(lambda: api.seen("/v1/heartbeat"))

    heartbeat.report(SlotJobs(running=(B,)))

    api.until(lambda: api.seen("/v1/heartbeat")[-1].running == [B])


def test_a_kill_arrives_at_once(api: FakeApi, heartbeat: Heartbeat) -> None:
    """A kill arrives while the poll waits, and makes the heartbeat readable."""
    heartbeat.report(SlotJobs(running=(A,)))
    api.until(lambda: api.seen("/v1/heartbeat"))
    api.held["a" * 32, 0] = 1

    api.kill("a" * 32, 0)
    del api.held["a" * 32, 0]  # or the kill would be repeated

    assert select.select([heartbeat], [], [], 60)[0]
    assert [answer.kills for answer in heartbeat.answers()] == [[A]]
    assert list(heartbeat.answers()) == []


def test_a_refusal_ends_it(api: FakeApi, heartbeat: Heartbeat) -> None:
    """When the server no longer knows the slot, reading the answers raises the error."""
    api.refuse_slots = True
    heartbeat.report(SlotJobs(running=(A,)))

    assert select.select([heartbeat], [], [], 60)[0]
    with pytest.raises(SlotRefused):
        list(heartbeat.answers())


def test_an_unavailable_server_is_noticed(api: FakeApi) -> None:
    """Failed polls count as an outage."""
    now = [0.0]
    outage = Outage(1.0, lambda: now[0])
    heartbeat = Heartbeat(ApiClient(f"http://127.0.0.1:{api.port}", "t"), outage)
    api.stop()

    heartbeat.report(SlotJobs(running=(A,)))
    deadline = time.monotonic() + 60
    while not outage.lost:
        now[0] += 2.0
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heartbeat.close()


def test_a_change_while_it_connects_is_reported_at_once(api: FakeApi) -> None:
    """Another job is reported although there was no connection yet when it started."""
    client = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    client._connection = connection = MeanwhileConnection(client.url)
    heartbeat = Heartbeat(client, Outage(30.0, time.monotonic))
    connection.meanwhile = lambda: heartbeat.report(SlotJobs(running=(B,)))

    heartbeat.report(SlotJobs(running=(A,)))

    api.until(lambda: api.seen("/v1/heartbeat"))
    heartbeat.close()
    assert api.seen("/v1/heartbeat")[0].running == [B]
