"""Jobs that are killed, lost, or hold up others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from picloud_model import wire
from picloud_model.job import Cause, State

from tests.unit.worker.jobs import appears, block_sigterm, echo, pid, run_forever, wait_for
from tests.unit.worker.worker import alive

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def test_jobs_behind_a_slow_one_are_handed_back(api: FakeApi, worker: Worker) -> None:
    """After 200 ms of a slow job those behind it are returned, and heartbeats report it."""
    path = worker.workdir / "go"
    batch = api.submit(lambda n: wait_for(n) if n else "quick", [("",), (str(path),), ("",), ("",)])

    returned = api.until(lambda: [r.returned for r in api.seen("/v1/work") if r.returned])
    beat = api.until(lambda: api.seen("/v1/heartbeat"))[-1]
    early = api.outcome(batch, 0)
    path.touch()

    assert [held.index for held in returned[0]] == [2, 3]
    assert [held.index for held in beat.running] == [1]
    assert early.state == State.DONE
    assert [api.result(batch, n) for n in range(4)] == ["quick", "came", "quick", "quick"]


def test_a_running_job_is_killed(api: FakeApi, worker: Worker) -> None:
    """A kill ends the job by SIGTERM, which shows where it was; a new child continues."""
    path = worker.workdir / "started"
    before = api.result(api.submit(pid))
    batch = api.submit(run_forever, [(str(path),)])
    appears(path)

    api.kill(batch, 0)
    failure = api.failure(batch)

    assert api.ended[batch, 0].state == State.KILLED
    assert failure.cause == Cause.KILLED
    assert "in run_forever" in failure.traceback
    assert "picloud_worker" not in failure.traceback
    assert api.result(api.submit(pid)) != before


def test_nothing_survives_a_kill_that_arrives_again(api: FakeApi, worker: Worker) -> None:
    """The server repeats a kill until it has a report: nothing of the job runs in an idle slot."""
    path = worker.workdir / "started"
    child = psutil.Process(api.result(api.submit(pid)))
    batch = api.submit(run_forever, [(str(path),)])
    appears(path)

    api.kill(batch, 0, times=20_000)  # the job ends while these are handled
    api.failure(batch)

    api.until(lambda: not alive(child))


def test_a_job_that_ignores_sigterm_is_killed(api: FakeApi, worker: Worker) -> None:
    """SIGKILL follows one second later."""
    path = worker.workdir / "started"
    batch = api.submit(block_sigterm, [(str(path),)])
    appears(path)
    before_kill = time.monotonic()

    api.kill(batch, 0)
    failure = api.failure(batch)

    assert time.monotonic() - before_kill > 0.9
    assert failure.cause == Cause.KILLED
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_job_that_never_returns_to_python_is_killed(api: FakeApi, worker: Worker) -> None:
    """SIGKILL ends a loop in C; SIGTERM has printed its stack."""

    def count(path: str) -> int:
        Path(path).touch()
        return sum(range(10**15))

    path = worker.workdir / "started"
    batch = api.submit(count, [(str(path),)])
    appears(path)

    api.kill(batch, 0)
    failure = api.failure(batch)

    assert api.ended[batch, 0].state == State.KILLED
    assert "in count" in failure.traceback


def test_the_processes_of_a_killed_job_end(api: FakeApi, worker: Worker) -> None:
    """So do those in a session of their own."""

    def parent(path: str) -> None:
        detached = subprocess.Popen(["sleep", "100"], start_new_session=True)
        Path(path).write_text(str(detached.pid))
        time.sleep(100)

    path = worker.workdir / "pid"
    batch = api.submit(parent, [(str(path),)])
    appears(path)
    api.until(path.read_text)
    detached = psutil.Process(int(path.read_text()))

    api.kill(batch, 0)
    api.failure(batch)

    detached.wait(30)


def test_a_job_not_started_is_killed_at_once(api: FakeApi, worker: Worker) -> None:
    """A kill that arrives with the lease ends the job before it starts."""
    path = worker.workdir / "go"
    batch = api.submit(wait_for, [(str(path),), (str(path),)])
    with api.changed:
        api.kills = [wire.AttemptRef(batch, 1, 1)]

    failure = api.failure(batch, 1)
    path.touch()

    assert failure.message == "killed by its user"
    assert api.ended[batch, 1].state == State.KILLED
    assert api.result(batch, 0) == "came"


def test_a_lost_job_ends_without_a_report(api: FakeApi, worker: Worker) -> None:
    """A job that no longer belongs to the slot is ended and not reported."""
    path = worker.workdir / "started"
    batch = api.submit(run_forever, [(str(path),)])
    appears(path)

    api.lose(batch, 0)

    assert api.result(api.submit(echo, [(1,)])) == 1
    assert (batch, 0) not in api.ended


def test_a_job_that_terminates_itself_was_not_killed(api: FakeApi, worker: Worker) -> None:
    """It is an error `signal 15`, as in any program: it was not killed from outside."""

    def terminate(how: str) -> None:
        if how == "process":
            os.kill(os.getpid(), signal.SIGTERM)
        elif how == "group":
            os.killpg(os.getpgid(0), signal.SIGTERM)
        elif how == "raise":
            signal.raise_signal(signal.SIGTERM)
        else:
            subprocess.run(["kill", str(os.getpid())], check=True)
        time.sleep(5)

    for how in ("process", "group", "raise", "program"):
        batch = api.submit(terminate, [(how,)])
        failure = api.failure(batch)

        assert api.ended[batch, 0].state == State.ERROR
        assert failure.cause == Cause.SIGNAL
        assert failure.message.startswith("signal 15 (SIGTERM), sent by the job itself or by the")
        assert "in terminate" in failure.traceback
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_job_may_handle_sigterm(api: FakeApi, worker: Worker) -> None:
    """A handler of its own is called, and the next job is killed like any other."""

    def handle() -> list[int]:
        caught: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: caught.append(number))
        os.kill(os.getpid(), signal.SIGTERM)
        return caught

    assert api.result(api.submit(handle)) == [signal.SIGTERM]
    path = worker.workdir / "began"
    batch = api.submit(run_forever, [(str(path),)])
    appears(path)
    api.until(lambda: (batch, 0) in api.held)
    api.kill(batch, 0)

    assert api.failure(batch).cause == Cause.KILLED


def test_a_job_that_ends_with_its_slot_is_no_error(api: FakeApi, worker: Worker) -> None:
    """A system that shuts down ends all processes of a slot together: the job may run again."""
    path = worker.workdir / "began"
    batch = api.submit(run_forever, [(str(path),)])
    appears(path)

    for process in reversed(worker.family()):
        process.terminate()

    assert worker.wait() == 0
    assert (batch, 0) not in api.ended
    last = api.seen("/v1/work")[-1]
    assert last.leaving
    assert [(job.batch, job.index) for job in last.stopped] == [(batch, 0)]


def test_a_job_whose_child_alone_was_killed_may_be_retried(api: FakeApi, worker: Worker) -> None:
    """SIGKILL may come from outside, so the report says so; other signals are the job's own."""
    for number, retry in ((signal.SIGKILL, True), (signal.SIGSEGV, False)):
        batch = api.submit(lambda number: os.kill(os.getpid(), number), [(number,)])

        report = api.outcome(batch)

        assert (report.cause, report.retry) == (Cause.SIGNAL, retry)
