"""Blocked jobs: the slot runs other jobs meanwhile, and each child is used again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from cloud._http.job_socket import SupervisorClient
from picloud_model import wire
from picloud_model.job import Cause, State

from tests.unit.worker.jobs import appears, echo, pid

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def block(started: str, go: str) -> int:
    """Wait for job 77 as the SDK does, until a file exists."""
    with SupervisorClient(os.environ["PICLOUD_LINE"]).blocked([(77, 77)], timed=False):
        Path(started).write_text(str(os.getpid()))
        while not Path(go).exists():
            time.sleep(0.005)
    return os.getpid()


def paths(worker: Worker, name: str = "") -> tuple[Path, Path]:
    """The files by which such a job reports that it is blocked, and is let continue."""
    return worker.workdir / f"started{name}", worker.workdir / f"go{name}"


def manifest(api: FakeApi, name: str) -> wire.Manifest:
    """Return a bundle of one module, which is stored."""
    return wire.Manifest([wire.Module(f"{name}.py", api.store(name.encode()))])


def test_other_jobs_run_while_one_is_blocked(api: FakeApi, worker: Worker) -> None:
    """The jobs behind a blocked one are handed back; a request says what it waits for, and another
    child runs the next jobs.
    """
    started, go = paths(worker)
    first = api.submit(lambda n: block(*n) if n else os.getpid(),
                       [((str(started), str(go)),), (None,)])  # fmt: skip
    request = api.until(lambda: [r for r in api.seen("/v1/work") if r.awaiting])[0]
    second = api.result(first, 1)
    go.touch()
    waited = api.result(first, 0)

    # In an earlier request, if it was slow before it was blocked.
    returned = [held for each in api.seen("/v1/work") for held in each.returned]
    assert (returned[0].index, returned[0].attempt) == (1, 1)
    assert request.awaiting == [wire.BlockedOn(wire.AttemptRef(first, 0, 1), [(77, 77)])]
    assert request.wait_s == 0
    assert waited != second


@pytest.mark.parametrize("bundles", [("", ""), ("outer", "inner")])
def test_a_child_of_a_blocked_job_is_used_again(
    api: FakeApi, worker: Worker, bundles: tuple[str, str]
) -> None:
    """It becomes a spare child: the next blocked job needs no new one, and neither do the jobs that
    it waits for, which may have other modules.
    """
    outer, inner = [api.store(wire.encode(manifest(api, name))) if name else "" for name in bundles]
    used = set()
    for number in range(4):
        started, go = paths(worker, str(number))
        batch = api.submit(block, [(str(started), str(go))], bundle=outer)
        other = api.submit(pid, bundle=inner)
        api.until(started.exists)
        used.add(api.result(other))
        go.touch()
        used.add(api.result(batch))

    assert len(used) == 2


def test_heartbeats_report_blocked_jobs(api: FakeApi, worker: Worker) -> None:
    """A job that is blocked for long is reported as running, with what it waits for."""
    started, go = paths(worker)
    batch = api.submit(block, [(str(started), str(go))])

    beat = api.until(lambda: [b for b in api.seen("/v1/heartbeat") if b.awaiting])[-1]
    go.touch()
    api.outcome(batch)

    assert beat.running == [wire.AttemptRef(batch, 0, 1)]
    assert beat.awaiting == [wire.BlockedOn(wire.AttemptRef(batch, 0, 1), [(77, 77)])]


@pytest.mark.parametrize("how", ["kill", "lose", "dies"])
def test_a_blocked_job_can_end(api: FakeApi, worker: Worker, how: str) -> None:
    """When it is killed, lost or dead, its child ends and the slot goes on."""
    started, go = paths(worker)
    batch = api.submit(block, [(str(started), str(go))])
    appears(started)
    api.until(lambda: [b for b in api.seen("/v1/heartbeat") if b.awaiting])
    before = {child.pid for child in worker.family()}

    if how == "dies":
        os.kill(int(api.until(started.read_text)), signal.SIGKILL)
    else:
        getattr(api, how)(batch, 0)

    if how != "lose":
        ended = api.outcome(batch)
        expected = (State.KILLED, Cause.KILLED) if how == "kill" else (State.ERROR, Cause.SIGNAL)
        assert (ended.state, ended.cause) == expected
    api.until(lambda: any(not psutil.pid_exists(pid) for pid in before))
    assert api.result(api.submit(echo, [(1,)])) == 1
    assert worker.process.poll() is None


def test_a_blocked_job_past_its_time_limit_is_ended(api: FakeApi, worker: Worker) -> None:
    """The rules for running jobs hold for it, too: its error names the limit, the slot goes on."""
    started, go = paths(worker)
    options = wire.Options(max_runtime_s=0.3)

    batch = api.submit(block, [(str(started), str(go))], options=options)
    failure = api.failure(batch)

    assert failure.cause == Cause.TIME_LIMIT
    assert "in block" in failure.traceback
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_blocked_job_that_ignores_sigterm_is_killed(api: FakeApi, worker: Worker) -> None:
    """SIGKILL follows one second after SIGTERM."""
    started, go = paths(worker)

    def ignore_sigterm() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        block(str(started), str(go))

    batch = api.submit(ignore_sigterm)
    appears(started)
    api.until(lambda: [request for request in api.seen("/v1/heartbeat") if request.awaiting])

    api.kill(batch, 0)

    assert api.failure(batch).cause == Cause.KILLED
    assert api.ended[batch, 0].state == State.KILLED
