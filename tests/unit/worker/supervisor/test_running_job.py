"""The rules for a running job: its time limit, and its termination."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from picloud_model.job import Cause, State
from picloud_model.wire import Options

from tests.unit.worker.jobs import block_sigterm, echo, pid, run_forever

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
