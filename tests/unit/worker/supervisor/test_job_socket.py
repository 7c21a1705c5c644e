"""The line between a job and its supervisor, and children that are set aside."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from cloud._jobs.job_socket import Line
from picloud_model import wire
from picloud_model.job import Cause, State
from picloud_model.job_socket import address
from picloud_model.token import JobToken

from tests.unit.worker.jobs import appears, echo, pid

if TYPE_CHECKING:
    from tests.unit.worker.conftest import Worker
    from tests.unit.worker.fake_api import FakeApi


def ask() -> tuple[str, str, int]:
    """What a job is granted."""
    granted = Line(os.environ["PICLOUD_LINE"]).grant()
    return granted.url, granted.token, granted.jid


def wait_aside(begun: str, go: str) -> int:
    """Wait for job 77 as the SDK does, until a file is there."""
    with Line(os.environ["PICLOUD_LINE"]).blocked([(77, 77)], timed=False):
        Path(begun).write_text(str(os.getpid()))
        while not Path(go).exists():
            time.sleep(0.005)
    return os.getpid()


def paths(worker: Worker, name: str = "") -> tuple[Path, Path]:
    """Where such a job says that it waits, and is told to go on."""
    return worker.workdir / f"begun{name}", worker.workdir / f"go{name}"


def test_each_job_gets_its_own_token(api: FakeApi, worker: Worker) -> None:
    """The token names the job that asks and its attempt, signed with the key of the slot."""
    batch = api.submit(ask, [()] * 3)

    for index in range(3):
        url, text, jid = api.result(batch, index)
        told = JobToken.read(text)
        assert told is not None
        # Where the machine was slow it was given back first, and leased again.
        attempt = api.ended[batch, index].attempt
        assert told[0] == JobToken("a", 1, 1 + index, attempt)
        assert told[1] == told[0].mac(api.granted.job_key)
        assert (url, jid) == (f"http://127.0.0.1:{api.port}", 1 + index)


def test_other_jobs_run_while_one_waits(api: FakeApi, worker: Worker) -> None:
    """A child that waits is set aside; what it was given beside goes back; the next request tells
    what it waits for, and another child runs what comes.
    """
    begun, go = paths(worker)
    first = api.submit(lambda n: wait_aside(*n) if n else os.getpid(),
                       [((str(begun), str(go)),), (None,)])  # fmt: skip
    asked = api.until(lambda: [r for r in api.seen("/v1/work") if r.awaiting])[0]
    second = api.result(first, 1)
    go.touch()
    waited = api.result(first, 0)

    assert [(held.index, held.attempt) for held in asked.returned] == [(1, 1)]
    assert asked.awaiting == [wire.BlockedOn(wire.AttemptRef(first, 0, 1), [(77, 77)])]
    assert asked.wait_s == 0
    assert waited != second


def test_a_child_that_waited_is_used_again(api: FakeApi, worker: Worker) -> None:
    """It has imported what such jobs need: no other child is made for the next that waits."""
    begun, go = paths(worker)
    used = set()
    for number in range(4):
        begun, go = paths(worker, str(number))
        batch = api.submit(wait_aside, [(str(begun), str(go))])
        api.until(begun.exists)
        used.add(api.result(api.submit(pid)))
        go.touch()
        used.add(api.result(batch))

    assert len(used) == 2


def test_heartbeats_name_what_waits(api: FakeApi, worker: Worker) -> None:
    """A job that waits for long is named, with what it waits for, like any other that runs."""
    begun, go = paths(worker)
    batch = api.submit(wait_aside, [(str(begun), str(go))])

    beat = api.until(lambda: [b for b in api.seen("/v1/heartbeat") if b.awaiting])[-1]
    go.touch()
    api.outcome(batch)

    assert beat.running == [wire.AttemptRef(batch, 0, 1)]
    assert beat.awaiting == [wire.BlockedOn(wire.AttemptRef(batch, 0, 1), [(77, 77)])]


@pytest.mark.parametrize("how", ["kill", "lose", "dies"])
def test_a_job_that_waits_can_end(api: FakeApi, worker: Worker, how: str) -> None:
    """Killed, lost or dead: its child ends, the slot goes on."""
    begun, go = paths(worker)
    batch = api.submit(wait_aside, [(str(begun), str(go))])
    appears(begun)
    api.until(lambda: [b for b in api.seen("/v1/heartbeat") if b.awaiting])
    before = {child.pid for child in worker.family()}

    if how == "dies":
        os.kill(int(api.until(begun.read_text)), signal.SIGKILL)
    else:
        getattr(api, how)(batch, 0)

    if how != "lose":
        ended = api.outcome(batch)
        expected = (State.KILLED, Cause.KILLED) if how == "kill" else (State.ERROR, Cause.SIGNAL)
        assert (ended.state, ended.cause) == expected
    api.until(lambda: any(not psutil.pid_exists(pid) for pid in before))
    assert api.result(api.submit(echo, [(1,)])) == 1
    assert worker.process.poll() is None


def shout(data: bytes) -> bytes:
    """Say something on the line that it does not know."""
    with socket.socket(socket.AF_UNIX) as connected:
        connected.settimeout(5)
        connected.connect(address(os.environ["PICLOUD_LINE"]))
        connected.sendall(data)
        try:
            return connected.recv(10)
        except ConnectionError:
            return b""


@pytest.mark.parametrize("data", [b"\n", b"{}x\n", b"\xff" * 100_000, b'{"awaiting": 3}\n'])
def test_nonsense_is_hung_up_on(api: FakeApi, worker: Worker, data: bytes) -> None:
    """Nothing a job says can stop its supervisor."""

    def try_it(data: bytes) -> Any:
        try:
            return shout(data)
        except OSError:
            return b""

    assert api.result(api.submit(try_it, [(data,)])) == b""
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_idle_connections_hold_up_nobody(api: FakeApi, worker: Worker) -> None:
    """A job that opens many connections and says nothing keeps nobody else from being answered."""

    def open_many() -> int:
        kept = []
        for _ in range(200):
            connected = socket.socket(socket.AF_UNIX)
            try:
                connected.connect(address(os.environ["PICLOUD_LINE"]))
            except OSError:
                break
            kept.append(connected)
        return len(kept)

    assert api.result(api.submit(open_many)) > 0
    assert api.result(api.submit(ask))[2] == 2
