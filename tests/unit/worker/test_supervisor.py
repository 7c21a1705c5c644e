"""A whole worker against a stand-in for the API: jobs that go well, fail, hang, and are killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from picloud_model import wire
from picloud_model.job import Cause, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.worker.conftest import Worker
    from tests.unit.worker.fake_api import FakeApi


def echo(value: Any) -> Any:
    return value


def pid() -> int:
    return os.getpid()


def wait_for(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.005)
    return "came"


def stuck_here(path: str) -> None:
    Path(path).touch()
    while True:
        time.sleep(0.01)


def deaf(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stuck_here(path)


def appears(path: Path) -> bool:
    """Wait until a job has made a file."""
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.005)
    return True


# --- jobs that go well ------------------------------------------------------------------------


def test_runs_a_lease(api: FakeApi, worker: Worker) -> None:
    """Each job of a lease is called with its own arguments, in one child."""
    batch = api.submit(lambda x: (x * 2, os.getpid()), [(n,) for n in range(20)])

    results = [api.result(batch, n) for n in range(20)]

    assert [value for value, _ in results] == [n * 2 for n in range(20)]
    assert len({child for _, child in results}) == 1
    assert all(ended.cause == Cause.NONE for ended in api.ended.values())


def test_a_warm_call_costs_one_request(api: FakeApi, worker: Worker) -> None:
    """A result travels with the request for the next lease."""
    api.result(api.submit(echo, [(0,)]))
    before = len(api.seen("/v1/work"))

    for n in range(10):
        assert api.result(api.submit(echo, [(n,)])) == n

    assert len(api.seen("/v1/work")) - before == 10


def test_presents_its_proof(api: FakeApi, worker: Worker) -> None:
    """The proof read from the descriptor is exchanged for a token before any work is asked for."""
    api.until(lambda: api.seen("/v1/work"))

    assert api.requests[0] == ("/v1/slots", wire.SlotRequest(proof="the proof"))


def test_a_child_knows_its_job(api: FakeApi, worker: Worker) -> None:
    """In a child the environment says that it runs on the platform, and as which job."""

    def told() -> tuple[str | None, ...]:
        return os.environ.get("PICLOUD_RUNNING"), os.environ.get("PICLOUD_JID")

    batch = api.submit(told, [(), ()])

    assert [api.result(batch, n) for n in (0, 1)] == [("1", "1"), ("1", "2")]


def test_a_child_inherits_nothing(api: FakeApi, worker: Worker) -> None:
    """User code has its standard streams and the child's three channels, and not the token."""

    def look() -> tuple[int, str]:
        opened = [n for n in range(3, 256) if Path(f"/proc/self/fd/{n}").exists()]
        return len(opened), sys.stdin.read()

    assert api.result(api.submit(look)) == (3, "")
    assert api.result(api.submit(lambda: os.getsid(0) == os.getpid()))


def test_state_stays_between_jobs_of_a_function(api: FakeApi, worker: Worker) -> None:
    """The function is unpickled once, as in a persistent interpreter."""
    count = [0]

    def bump() -> int:
        count[0] += 1
        return count[0]

    batch = api.submit(bump, [()] * 3, size=1)

    assert [api.result(batch, n) for n in range(3)] == [1, 2, 3]


# --- jobs that fail -----------------------------------------------------------------------------


def test_an_exception_is_told(api: FakeApi, worker: Worker) -> None:
    """The traceback begins in user code, and the exception itself travels along."""

    def outer() -> None:
        raise KeyError("missing")

    failure = api.failure(api.submit(outer))

    assert (failure.cause, failure.message) == (Cause.EXCEPTION, "KeyError: 'missing'")
    assert "in outer" in failure.traceback
    assert "picloud_worker" not in failure.traceback
    assert failure.pickled is not None


def test_a_segmentation_fault_is_told(api: FakeApi, worker: Worker) -> None:
    """A crash names its signal and where Python was; neighbours in the lease are not harmed."""
    batch = api.submit(lambda n: n if n != 5 else ctypes.string_at(0), [(n,) for n in range(10)])

    failure = api.failure(batch, 5)

    assert (failure.cause, failure.message) == (Cause.SIGNAL, "signal 11 (SIGSEGV)")
    assert "Segmentation fault" in failure.traceback
    assert [api.result(batch, n) for n in range(10) if n != 5] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert api.ended[batch, 5].started_at > 0


@pytest.mark.parametrize("status", [0, 7])
def test_an_exit_is_no_result(api: FakeApi, worker: Worker, status: int) -> None:
    """os._exit in a job is an error, also with status 0."""
    failure = api.failure(api.submit(lambda: os._exit(status)))

    assert failure.cause == Cause.EXIT
    assert failure.message == f"the process ended without a result (exit status {status})"


def test_a_job_that_closes_everything_fails_alone(api: FakeApi, worker: Worker) -> None:
    """A job that closes the child's channels has no result; the slot goes on."""
    failure = api.failure(api.submit(lambda: os.closerange(3, 256)))

    assert failure.cause == Cause.EXIT
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_forked_copy_of_a_job_says_nothing(api: FakeApi, worker: Worker) -> None:
    """A job that forks and returns in both processes has one result."""
    batch = api.submit(lambda n: (n, os.fork() and 1), [(n,) for n in range(5)])

    assert [api.result(batch, n) for n in range(5)] == [(n, 1) for n in range(5)]


def test_output_is_bounded(api: FakeApi, worker: Worker) -> None:
    """What jobs write does not fill the disk, and the end of it is kept for failures."""

    def shout(path: str) -> None:
        while not Path(path).exists():
            os.write(2, b"x" * 65536)
            time.sleep(0.001)
        os.write(2, b"last words\n")
        os.abort()

    path = worker.workdir / "enough"
    batch = api.submit(shout, [(str(path),)])
    api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.running])
    used = max(_deleted_bytes(worker) for _ in range(20))
    path.touch()

    failure = api.failure(batch)

    assert used < 64 * 1024 * 1024
    assert failure.message == "signal 6 (SIGABRT)"
    assert "last words" in failure.traceback


def _deleted_bytes(worker: Worker) -> int:
    files = Path(f"/proc/{worker.process.pid}/fd").iterdir()
    return sum(os.stat(file).st_size for file in files if "output-" in os.readlink(file))


# --- slow jobs and kills --------------------------------------------------------------------------


def test_jobs_behind_a_slow_one_go_back(api: FakeApi, worker: Worker) -> None:
    """After 200 ms of a slow head the jobs not begun are returned, and heartbeats name it."""
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
    """A kill ends the job within a second and shows where it was; a new child goes on."""
    path = worker.workdir / "begun"
    before = api.result(api.submit(pid))
    batch = api.submit(stuck_here, [(str(path),)])
    appears(path)
    began = time.monotonic()

    api.kill(batch, 0)
    failure = api.failure(batch)

    assert time.monotonic() - began < 1
    assert api.ended[batch, 0].state == State.KILLED
    assert failure.cause == Cause.KILLED
    assert "in stuck_here" in failure.traceback
    assert api.result(api.submit(pid)) != before


def test_a_job_that_ignores_the_signal_is_killed(api: FakeApi, worker: Worker) -> None:
    """SIGKILL follows one second later."""
    path = worker.workdir / "begun"
    batch = api.submit(deaf, [(str(path),)])
    appears(path)
    began = time.monotonic()

    api.kill(batch, 0)
    failure = api.failure(batch)

    assert 0.9 < time.monotonic() - began < 3
    assert failure.cause == Cause.KILLED
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_killed_job_takes_its_processes_along(api: FakeApi, worker: Worker) -> None:
    """Also those in a session of their own."""

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

    detached.wait(5)


def test_a_job_not_begun_is_killed_at_once(api: FakeApi, worker: Worker) -> None:
    """A kill that comes with the lease ends the job before it begins."""
    path = worker.workdir / "go"
    batch = api.submit(wait_for, [(str(path),), (str(path),)])
    with api.changed:
        api.kills = [wire.Held(batch, 1, 1)]

    failure = api.failure(batch, 1)
    path.touch()

    assert failure.message == "killed by its user"
    assert api.ended[batch, 1].state == State.KILLED
    assert api.result(batch, 0) == "came"


def test_a_lost_job_ends_without_a_word(api: FakeApi, worker: Worker) -> None:
    """A job that is not the slot's any more is ended, and nothing is reported for it."""
    path = worker.workdir / "begun"
    batch = api.submit(stuck_here, [(str(path),)])
    appears(path)

    api.lose(batch, 0)

    assert api.result(api.submit(echo, [(1,)])) == 1
    assert (batch, 0) not in api.ended


# --- children -------------------------------------------------------------------------------------


def test_another_bundle_gets_another_child(api: FakeApi, worker: Worker) -> None:
    """Code of one bundle never runs with modules of another."""
    bundles = []
    for text in (b"V = 1\n", b"V = 2\n"):
        module = wire.Module("shipped/inner.py", api.store(text))
        manifest = wire.Manifest([wire.Module("shipped/__init__.py", api.store(b"")), module])
        bundles.append(api.store(wire.encode(manifest)))

    def look() -> tuple[int, int]:
        from shipped.inner import V

        return V, os.getpid()

    first, second, again = (api.result(api.submit(look, bundle=bundles[n])) for n in (0, 1, 1))

    assert (first[0], second[0]) == (1, 2)
    assert first[1] != second[1]
    assert again == second


def test_left_over_threads_end_the_interpreter(api: FakeApi, worker: Worker) -> None:
    """The job's result counts; the next job, also of the same lease, runs in another process."""

    def leave() -> int:
        threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
        return os.getpid()

    batch = api.submit(leave, [()] * 3)

    assert len({api.result(batch, n) for n in range(3)}) == 3


def test_left_over_processes_end_with_the_job(api: FakeApi, worker: Worker) -> None:
    """A process that a job leaves behind is ended with its interpreter, however it detached."""

    def leave() -> tuple[int, int]:
        command = ["setsid", "-f", "sh", "-c", "echo $$; exec sleep 100"]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        return os.getpid(), int(started.stdout.readline())

    before, left = api.result(api.submit(leave))

    assert api.result(api.submit(pid)) != before
    assert not psutil.pid_exists(left) or psutil.Process(left).wait(5) is None


def test_processes_that_ended_are_no_leftovers(api: FakeApi, worker: Worker) -> None:
    """A job that did not wait for a process that is done keeps its interpreter."""

    def run() -> int:
        subprocess.Popen(["true"])
        return os.getpid()

    assert api.result(api.submit(run)) == api.result(api.submit(pid))


# --- blobs ------------------------------------------------------------------------------------------


def test_large_results_become_blobs(api: FakeApi, worker: Worker) -> None:
    """A result too large to travel inline is uploaded and named."""
    batch = api.submit(lambda: b"x" * 5_000_000)

    assert api.result(batch) == b"x" * 5_000_000
    assert api.ended[batch, 0].payload == b""
    assert any(path.startswith("/v1/blobs/") for path, _ in api.requests)


def test_large_functions_and_arguments_are_fetched(api: FakeApi, worker: Worker) -> None:
    """A function and a pack that are blobs are fetched once each."""
    import cloudpickle
    from picloud_model import pack

    data = pack.seal(cloudpickle.dumps(echo))
    function = wire.Content(api.store(data), len(data))
    bodies = [pack.seal(cloudpickle.dumps(((n,), {}))) for n in range(4)]
    whole = pack.write(bodies)
    part = wire.PackPart(0, 4, wire.Content(api.store(whole), len(whole)))

    batch = api.submit(echo, [()] * 4, content=function, pack=part, size=2)

    assert [api.result(batch, n) for n in range(4)] == [0, 1, 2, 3]
    assert len([path for path, _ in api.requests if "/v1/blobs/" in path]) == 2


def test_missing_blobs_fail_the_job(api: FakeApi, worker: Worker) -> None:
    """What the server does not have is the environment's failure; the slot goes on."""
    lacking = api.failure(api.submit(echo, content=wire.Content("0" * 64, 5)))
    module = wire.Manifest([wire.Module("../escape.py", api.store(b""))])
    outside = api.failure(api.submit(echo, bundle=api.store(wire.encode(module))))

    assert lacking.cause == outside.cause == Cause.ENVIRONMENT
    assert "no such blob" in lacking.message
    assert "'../escape.py'" in outside.message
    assert api.result(api.submit(echo, [(1,)])) == 1


# --- the slot's own life ----------------------------------------------------------------------------


def test_keeps_results_while_the_server_is_away(api: FakeApi, worker: Worker) -> None:
    """What ended while nobody listened is reported when the server is back."""
    path = worker.workdir / "go"
    batch = api.submit(wait_for, [(str(path),)])
    api.until(lambda: api.seen("/v1/heartbeat"))

    api.stop()
    path.touch()
    api.start()

    assert api.result(batch) == "came"
    assert api.ended[batch, 0].attempt == 1


def test_repeats_what_was_not_answered(api: FakeApi, worker: Worker) -> None:
    """After a lost answer the slot says what it holds, so that lost leases are given again."""
    api.result(api.submit(echo, [(0,)]))
    with api.changed:
        api.drop_answers = 1
    batch = api.submit(echo, [(1,), (2,)])

    assert [api.result(batch, n) for n in (0, 1)] == [1, 2]
    assert any(request.resync and not request.holding for request in api.seen("/v1/work"))
    assert api.ended[batch, 0].attempt == 2


def test_faults_of_the_server_are_waited_out(api: FakeApi, worker: Worker) -> None:
    """An answer 503 is asked again."""
    api.result(api.submit(echo, [(0,)]))
    api.faults = 3

    assert api.result(api.submit(echo, [(1,)])) == 1


def test_gives_up_when_the_server_stays_away(
    api: FakeApi, start: Callable[..., Worker]
) -> None:
    """After the grace the child is ended and the worker exits with status 0."""
    api.granted = wire.SlotGranted(slot=1, token="t", account="a", server_grace_s=0.5)
    worker = start()
    path = worker.workdir / "begun"
    api.submit(stuck_here, [(str(path),)])
    appears(path)
    worker.family()

    api.stop()

    assert worker.wait() == 0
    assert worker.gone()


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_survives_a_killed_supervisor(
    api: FakeApi, worker: Worker, tmp_path: Path, *, busy: bool
) -> None:
    """kill -9 of the supervisor ends zygote, child and what jobs started, however detached."""

    def run(path: str) -> None:
        subprocess.Popen(["sleep", "100"], start_new_session=True)
        stuck_here(path)

    if busy:
        api.submit(run, [(str(tmp_path / "begun"),)])
        appears(tmp_path / "begun")
    else:
        api.result(api.submit(pid))
    assert len(worker.family()) >= 3

    worker.process.kill()

    assert worker.gone()


def test_leaves_when_idle(api: FakeApi, start: Callable[..., Worker]) -> None:
    """Without work for `idle_s` it says goodbye and exits with status 0."""
    api.granted = wire.SlotGranted(slot=1, token="t", account="a", idle_s=0.2)
    worker = start()
    worker.family()

    assert worker.wait() == 0
    assert api.seen("/v1/work")[-1].leaving
    assert worker.gone()


def test_ends_quietly_when_refused(api: FakeApi, start: Callable[..., Worker]) -> None:
    """A slot that the server does not know ends with status 0, at its start or later."""
    worker = start()
    api.until(lambda: api.seen("/v1/work"))
    api.refuse_slots = True
    late = start()

    assert (worker.wait(), late.wait()) == (0, 0)


def test_ends_when_dismissed(api: FakeApi, worker: Worker) -> None:
    """`exit` in an answer ends the slot at once."""
    path = worker.workdir / "begun"
    api.submit(stuck_here, [(str(path),)])
    appears(path)
    worker.family()
    with api.changed:
        api.exit = True
        api.kills = [wire.Held("f" * 32, 0, 0)]
        api.changed.notify_all()

    assert worker.wait() == 0
    assert worker.gone()


def test_a_terminated_slot_gives_back_what_it_had_not_begun(
    api: FakeApi, worker: Worker
) -> None:
    """SIGTERM ends the slot with status 0 and a last word."""
    path = worker.workdir / "begun"
    batch = api.submit(stuck_here, [(str(path),)] * 3)
    appears(path)
    worker.family()

    worker.process.terminate()

    assert worker.wait() == 0
    last = api.seen("/v1/work")[-1]
    assert last.leaving
    assert [held.index for held in last.holding] == [0]
    assert list(api.batches[batch].free) in ([1, 2], [2, 1])
    assert worker.gone()


@pytest.mark.parametrize("name", ["leased", "begun", "ran", "reported"])
def test_crash_points_end_the_slot(
    api: FakeApi, start: Callable[..., Worker], name: str
) -> None:
    """At each named place the whole slot can be made to die, and another finishes its job."""
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


def test_what_the_zygote_cannot_survive_ends_the_slot(api: FakeApi, worker: Worker) -> None:
    """A job that kills the process that forks children ends the slot, as broken."""
    worker.family()

    api.submit(lambda: os.kill(os.getppid(), signal.SIGKILL))

    assert worker.wait() == 1
    assert worker.gone()
