"""The rules for a running job: its time limit, and its termination."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_model.job import Cause, State
from picloud_model.wire import Options

from tests.unit.worker.jobs import appears, block_sigterm, echo, pid, run_forever, wait_for

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker

SHORT = Options(max_runtime_s=0.3)


def test_a_job_past_its_time_limit_is_ended(api: FakeApi, worker: Worker) -> None:
    """Its error names the limit and shows where the job was; a new child continues."""
    before = api.result(api.submit(pid))

    batch = api.submit(run_forever, [(str(worker.workdir / "started"),)], options=SHORT)
    failure = api.failure(batch)

    assert api.ended[batch, 0].state == State.KILLED
    assert failure.cause == Cause.TIME_LIMIT
    assert failure.message == (
        "time limit: the job ran longer than its maximum runtime of 0.005 minutes"
    )
    assert "in run_forever" in failure.traceback
    assert failure.traceback.endswith("Ended by its time limit\n")
    assert "picloud_worker" not in failure.traceback
    assert api.result(api.submit(pid)) != before


def test_a_job_that_ignores_sigterm_is_ended_too(api: FakeApi, worker: Worker) -> None:
    """SIGKILL follows one second after SIGTERM; the cause stays the time limit."""
    batch = api.submit(block_sigterm, [(str(worker.workdir / "started"),)], options=SHORT)

    failure = api.failure(batch)

    assert failure.cause == Cause.TIME_LIMIT
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_the_limit_is_for_each_job(api: FakeApi, worker: Worker) -> None:
    """Each job of a map has its own time, and those within the limit keep their interpreter."""

    def nap(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    batch = api.submit(
        nap, [(0.15,)] * 4 + [(60,)] + [(0.0,)] * 3, options=Options(max_runtime_s=0.4)
    )

    failure = api.failure(batch, 4)
    processes = [api.result(batch, number) for number in (0, 1, 2, 3, 5, 6, 7)]

    assert failure.cause == Cause.TIME_LIMIT
    assert len(set(processes[:4])) == 1
    assert set(processes[:4]).isdisjoint(processes[4:])


def hold_bucket(path: str) -> None:
    """Have the bucket open and run forever."""
    os.open("/bucket", os.O_RDONLY)
    run_forever(path)


def use_bucket_later(path: str, killed: str) -> bool:
    """Use the bucket, close it, and use it again later."""
    os.close(os.open("/bucket", os.O_RDONLY))
    Path(path).touch()
    wait_for(killed)
    while True:  # until it is mounted again
        with contextlib.suppress(OSError):
            os.close(os.open("/bucket", os.O_RDONLY))
            return True


def lose_bucket(path: str, killed: str) -> None:
    """Read what is lost meanwhile."""
    held = os.open("/bucket", os.O_RDONLY)
    Path(path).touch()
    wait_for(killed)
    os.fstat(held)


def kill_mount(worker: Worker) -> None:
    """Kill what serves the bucket of a slot."""
    (serving,) = [each for each in worker.family() if "picloud_worker.mount" in each.cmdline()]
    serving.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only slots of root have /bucket without a question")
def test_a_lost_mount_ends_the_jobs_that_have_it_open(api: FakeApi, worker: Worker) -> None:
    """Without any request for its path; a job that has closed its files goes on."""
    started, killed = worker.workdir / "started", worker.workdir / "killed"
    batch = api.submit(hold_bucket, [(str(started),)])
    appears(started)
    kill_mount(worker)
    failure = api.failure(batch)
    assert failure.message.startswith("/bucket was lost: ")
    assert "in hold_bucket" in failure.traceback

    started.unlink()
    batch = api.submit(use_bucket_later, [(str(started), str(killed))])
    appears(started)
    kill_mount(worker)
    killed.touch()
    assert api.result(batch) is True

    started.unlink()
    killed.unlink()
    batch = api.submit(lose_bucket, [(str(started), str(killed))])
    appears(started)
    kill_mount(worker)
    killed.touch()
    failure = api.failure(batch)
    assert failure.message.startswith("/bucket was lost: ")
    assert "in lose_bucket" in failure.traceback


def unmount() -> None:
    """Unmount the bucket."""
    os.close(os.open("/bucket", os.O_RDONLY))
    subprocess.run(["umount", "/bucket"], check=True)


def is_mounted_again() -> bool:
    """Wait until there is a bucket."""
    while not Path("/bucket").is_mount():
        time.sleep(0.01)
    return True


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can unmount it")
def test_a_job_that_unmounts_the_bucket_harms_itself_only(api: FakeApi, worker: Worker) -> None:
    """It is mounted anew for the jobs that follow."""
    api.result(api.submit(unmount))

    assert api.result(api.submit(is_mounted_again))
