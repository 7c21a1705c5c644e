"""A worker and the options of jobs: time limits, interpreters of their own, variables, pickling."""

from __future__ import annotations

import os
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
import pytest
from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import Envelope, unseal
from picloud_model.wire import Failure, Options, decode
from picloud_worker.child.results import pickled
from picloud_worker.child.runner import Runner, variables
from picloud_worker.failure import RefusedError

from tests.unit.worker.child.test_runner import leased
from tests.unit.worker.jobs import deaf, echo, pid, stuck_here

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker

SHORT = Options(max_runtime_s=0.3)


def test_a_job_past_its_time_limit_is_ended(api: FakeApi, worker: Worker) -> None:
    """It is an error that names the limit and shows where the job was; a new child goes on."""
    before = api.result(api.submit(pid))

    batch = api.submit(stuck_here, [(str(worker.workdir / "begun"),)], options=SHORT)
    failure = api.failure(batch)

    assert api.ended[batch, 0].state == State.ERROR
    assert failure.cause == Cause.TIME_LIMIT
    assert failure.message == (
        "time limit: the job ran longer than its maximum runtime of 0.005 minutes"
    )
    assert "in stuck_here" in failure.traceback
    assert failure.traceback.endswith("Ended by its time limit\n")
    assert "picloud_worker" not in failure.traceback
    assert api.result(api.submit(pid)) != before


def test_a_job_that_ignores_the_signal_is_ended_all_the_same(api: FakeApi, worker: Worker) -> None:
    """SIGKILL follows one second after SIGTERM; the cause stays the time limit."""
    batch = api.submit(deaf, [(str(worker.workdir / "begun"),)], options=SHORT)

    failure = api.failure(batch)

    assert failure.cause == Cause.TIME_LIMIT
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_limit_is_each_jobs_own(api: FakeApi, worker: Worker) -> None:
    """Jobs of a map are timed one by one, and those within the limit keep their interpreter."""

    def naps(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    batch = api.submit(
        naps, [(0.15,)] * 4 + [(60,)] + [(0.0,)] * 3, options=Options(max_runtime_s=0.4)
    )

    failure = api.failure(batch, 4)
    processes = [api.result(batch, number) for number in (0, 1, 2, 3, 5, 6, 7)]

    assert failure.cause == Cause.TIME_LIMIT
    assert len(set(processes[:4])) == 1
    assert set(processes[:4]).isdisjoint(processes[4:])


def test_a_killed_process_runs_one_job(api: FakeApi, worker: Worker) -> None:
    """The promise: "you can disable this optimization with the _kill_process keyword": no other
    job runs in the same interpreter.
    """
    batch = api.submit(pid, [()] * 5, options=Options(kill_process=True))
    processes = [api.result(batch, number) for number in range(5)]

    assert len(set(processes)) == 5
    assert api.result(api.submit(pid)) not in processes


def test_variables_are_set_while_the_job_runs(api: FakeApi, worker: Worker) -> None:
    """The next job in the same interpreter finds what was there before."""

    def seen(path: str | None = None) -> tuple[int, str | None, str | None]:
        found = os.getpid(), os.environ.get("GREETING"), os.environ.get("PATH")
        if path:
            os.environ["GREETING"] = "changed by the job"
        return found

    process, before, path = api.result(api.submit(seen))
    options = Options(os_env_vars={"GREETING": "hello", "PATH": "/mine"})

    during = api.result(api.submit(seen, [("x",)], options=options))
    after = api.result(api.submit(seen))

    assert before is None
    assert during == (process, "hello", "/mine")
    assert after == (process, None, path)


def test_variables_come_back_after_an_error() -> None:
    """Whatever the job raises, the variables are restored."""

    def raises() -> None:
        raise ValueError(os.environ["GREETING"])

    lease = replace(leased(raises), options=Options(os_env_vars={"GREETING": "hello"}))
    runner = Runner(Envelope.here(cloudpickle.__version__), time.time)
    with variables({"GREETING": "before"}):
        found = runner.run(lease, lease.jobs[0], {}, 0.0)
        assert os.environ["GREETING"] == "before"

    assert decode(bytes(unseal(found.payload)), Failure).message == "ValueError: hello"


def test_results_are_pickled_as_asked() -> None:
    """0 takes what plain pickle cannot, 1 too but seeks no culprit, 2 is plain pickle."""
    unpicklable = {"a": [(i for i in ())]}

    assert pickle.loads(pickled(lambda: 5, 0))() == 5
    assert pickle.loads(pickled(lambda: 5, 1))() == 5
    with pytest.raises(RefusedError, match=r"the result cannot be pickled: .*lambda"):
        pickled(lambda: 5, 2)
    assert pickle.loads(pickled(Path("x"), 2)) == Path("x")
    with pytest.raises(RefusedError, match=r"result\['a'\]\[0\] in the result cannot be pickled"):
        pickled(unpicklable, 0)
    with pytest.raises(RefusedError, match="the result cannot be pickled: TypeError"):
        pickled(unpicklable, 1)
