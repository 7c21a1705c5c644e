"""A slot from its start to its exit, also without its server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.job import Cause

from tests.unit.worker.jobs import appears, echo, pid, run_forever, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def test_results_are_kept_while_the_server_is_away(api: FakeApi, worker: Worker) -> None:
    """A job that ended meanwhile is reported when the server is back."""
    path = worker.workdir / "go"
    batch = api.submit(wait_for, [(str(path),)])
    api.until(lambda: api.seen("/v1/heartbeat"))

    api.stop()
    path.touch()
    api.start()

    assert api.result(batch) == "came"
    assert api.ended[batch, 0].attempt == 1


def test_a_lost_answer_is_repaired(api: FakeApi, worker: Worker) -> None:
    """The slot then reports what it holds, so that lost leases are given again."""
    api.result(api.submit(echo, [(0,)]))
    with api.changed:
        api.drop_answers = 1
    batch = api.submit(echo, [(1,), (2,)])

    assert [api.result(batch, n) for n in (0, 1)] == [1, 2]
    assert any(request.resync and not request.holding for request in api.seen("/v1/work"))
    assert api.ended[batch, 0].attempt == 2


def test_faults_of_the_server_are_waited_out(api: FakeApi, worker: Worker) -> None:
    """A request that was answered with 503 is repeated."""
    api.result(api.submit(echo, [(0,)]))
    api.faults = 3

    assert api.result(api.submit(echo, [(1,)])) == 1


def test_the_slot_ends_when_the_server_stays_away(
    api: FakeApi, start: Callable[..., Worker]
) -> None:
    """After the grace the child is killed and the worker exits with status 0."""
    api.granted = wire.SlotGranted(slot=1, token="t", account="a", server_grace_s=0.5)
    worker = start()
    path = worker.workdir / "started"
    api.submit(run_forever, [(str(path),)])
    appears(path)
    worker.family()

    api.stop()

    assert worker.wait() == 0
    assert worker.gone()


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_survives_a_killed_supervisor(
    api: FakeApi, worker: Worker, tmp_path: Path, *, busy: bool
) -> None:
    """SIGKILL to the supervisor ends all processes of its slot, even detached ones."""

    def run(path: str) -> None:
        subprocess.Popen(["sleep", "100"], start_new_session=True)
        run_forever(path)

    if busy:
        api.submit(run, [(str(tmp_path / "started"),)])
        appears(tmp_path / "started")
    else:
        api.result(api.submit(pid))
    assert len(worker.family()) >= 3

    worker.process.kill()

    assert worker.gone()


def test_an_idle_slot_leaves(api: FakeApi, start: Callable[..., Worker]) -> None:
    """Without work for `idle_s` it reports that it leaves and exits with status 0."""
    api.granted = wire.SlotGranted(slot=1, token="t", account="a", idle_s=0.2)
    worker = start()
    worker.family()

    assert worker.wait() == 0
    assert api.seen("/v1/work")[-1].leaving
    assert worker.gone()


@pytest.mark.parametrize("idle_s", [0.0, 0.05])
def test_a_warm_slot_stays(api: FakeApi, start: Callable[..., Worker], idle_s: float) -> None:
    """While the server tells it to stay it does not leave, however long it is idle, and even if
    it finds that its time is over before it has asked.
    """
    api.granted = wire.SlotGranted(slot=1, token="t", account="a", idle_s=idle_s)
    api.stay = True
    worker = start()
    api.until(lambda: len(api.seen("/v1/work")) >= 5)
    assert not any(request.leaving for request in api.seen("/v1/work"))

    api.stay = False

    assert worker.wait() == 0
    assert api.seen("/v1/work")[-1].leaving


def test_a_refused_slot_ends(api: FakeApi, start: Callable[..., Worker]) -> None:
    """A slot that the server does not know exits with status 0, at its start or later."""
    worker = start()
    api.until(lambda: api.seen("/v1/work"))
    api.refuse_slots = True
    late = start()

    assert (worker.wait(), late.wait()) == (0, 0)


def test_a_dismissed_slot_ends(api: FakeApi, worker: Worker) -> None:
    """`exit` in an answer ends the slot at once."""
    path = worker.workdir / "started"
    api.submit(run_forever, [(str(path),)])
    appears(path)
    worker.family()
    with api.changed:
        api.exit = True
        api.kills = [wire.AttemptRef("f" * 32, 0, 0)]
        api.changed.notify_all()

    assert worker.wait() == 0
    assert worker.gone()


def test_a_terminated_slot_hands_back_its_jobs(api: FakeApi, worker: Worker) -> None:
    """SIGTERM ends the slot with status 0; it hands all jobs back, also the running one."""
    path = worker.workdir / "started"
    batch = api.submit(run_forever, [(str(path),)] * 3)
    appears(path)
    worker.family()

    worker.process.terminate()

    assert worker.wait() == 0
    last = api.seen("/v1/work")[-1]
    assert last.leaving
    assert [(job.batch, job.index) for job in last.stopped] == [(batch, 0)]
    assert sorted(job.index for job in last.returned) == [1, 2]
    assert worker.gone()


def test_an_announced_job_starts_once_the_server_has_confirmed_it(
    api: FakeApi, worker: Worker
) -> None:
    """The slot reports the job as running before it starts it."""
    batch = api.submit(abs, [(-1,)], announced=True)

    assert api.result(batch) == 1
    announced = [ref for request in api.seen("/v1/heartbeat") for ref in request.running]
    assert (batch, 0) in [(ref.batch, ref.index) for ref in announced]


def test_a_terminated_idle_slot_leaves(api: FakeApi, worker: Worker) -> None:
    """SIGTERM ends a slot that waits for work at once; its last request says that it leaves."""
    api.until(lambda: api.seen("/v1/work"))

    worker.process.terminate()

    assert worker.wait(30) == 0
    assert api.seen("/v1/work")[-1].leaving


def test_children_that_cannot_start_end_the_slot(api: FakeApi, worker: Worker) -> None:
    """When no child can be forked the slot exits as broken, and hands its jobs back."""

    def spoil() -> None:
        home = Path.cwd()
        shutil.rmtree(home)
        home.touch()
        os.kill(os.getpid(), signal.SIGKILL)

    batch = api.submit(spoil, [()] * 3)

    assert worker.wait() == 1
    assert sorted(api.batches[batch].free) == [1, 2]
    assert api.ended[batch, 0].cause == Cause.SIGNAL


@pytest.mark.parametrize("name", ["leased", "begun", "ran", "reported"])
def test_crash_points_end_the_slot(api: FakeApi, start: Callable[..., Worker], name: str) -> None:
    """The whole slot can be made to die at each of them, and another slot runs its job."""
    worker = start(crashpoint=f"worker.{name}")
    batch = api.submit(echo, [(1,)])

    assert worker.wait() == -signal.SIGKILL
    assert worker.gone()
    with api.changed:
        for key in api.held:
            api.batches[batch].free.append(key[1])
        api.held.clear()
    start()
    assert api.result(batch) == 1


def test_a_killed_zygote_ends_the_slot(api: FakeApi, worker: Worker) -> None:
    """A job that kills the process that forks children ends the slot as broken."""
    worker.family()

    api.submit(lambda: os.kill(os.getppid(), signal.SIGKILL))

    assert worker.wait() == 1
    assert worker.gone()
