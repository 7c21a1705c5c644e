"""The heartbeat: names what runs, at once when that changes, and brings what the server says."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import SlotRefused
from picloud_model.wire import AttemptRef
from picloud_worker.api.client import ApiClient
from picloud_worker.api.outage import Outage
from picloud_worker.supervisor.heartbeat import Heartbeat, SlotJobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.worker.fake_api import FakeApi

A, B = AttemptRef("a" * 32, 0, 1), AttemptRef("b" * 32, 1, 1)


@pytest.fixture
def beat(api: FakeApi) -> Iterator[Heartbeat]:
    """A heartbeat that talks to the stand-in."""
    client = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    made = Heartbeat(client, Outage(30.0, time.monotonic))
    yield made
    made.close()


def test_names_what_runs(api: FakeApi, beat: Heartbeat) -> None:
    """The running job and those held are named; silence needs no request."""
    assert not api.seen("/v1/heartbeat")

    beat.report(SlotJobs(running=(A,), holding=(B,)))
    (request,) = api.until(lambda: api.seen("/v1/heartbeat"))

    assert (request.running, request.holding) == ([A], [B])


def test_a_change_is_told_at_once(api: FakeApi, beat: Heartbeat) -> None:
    """Another job is named although the poll for the one before still waits."""
    beat.report(SlotJobs(running=(A,)))
    api.until(lambda: api.seen("/v1/heartbeat"))

    beat.report(SlotJobs(running=(B,)))

    api.until(lambda: api.seen("/v1/heartbeat")[-1].running == [B])


def test_brings_kills(api: FakeApi, beat: Heartbeat) -> None:
    """A kill arrives while the poll waits, and makes the heartbeat readable."""
    beat.report(SlotJobs(running=(A,)))
    api.until(lambda: api.seen("/v1/heartbeat"))
    api.held["a" * 32, 0] = 1

    api.kill("a" * 32, 0)

    assert select.select([beat], [], [], 5)[0]
    assert [answer.kills for answer in beat.answers()] == [[A]]
    assert list(beat.answers()) == []


def test_a_refusal_ends_it(api: FakeApi, beat: Heartbeat) -> None:
    """When the server does not know the slot any more, whoever reads the answers is told."""
    api.refuse_slots = True
    beat.report(SlotJobs(running=(A,)))

    assert select.select([beat], [], [], 5)[0]
    with pytest.raises(SlotRefused):
        list(beat.answers())


def test_a_server_that_is_away_is_noticed(api: FakeApi) -> None:
    """Polls that fail count as an outage."""
    now = [0.0]
    outage = Outage(1.0, lambda: now[0])
    beat = Heartbeat(ApiClient(f"http://127.0.0.1:{api.port}", "t"), outage)
    api.stop()

    beat.report(SlotJobs(running=(A,)))
    deadline = time.monotonic() + 5
    while not outage.lost:
        now[0] += 2.0
        assert time.monotonic() < deadline
        time.sleep(0.01)
    beat.close()
