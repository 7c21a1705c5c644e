"""Jobs that a slot runs: their results, and their failures."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.job import Cause

from tests.unit.worker.jobs import echo

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi
    from tests.unit.worker.worker import Worker


def test_the_jobs_of_a_lease_run(api: FakeApi, worker: Worker) -> None:
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


def test_the_proof_is_presented_first(api: FakeApi, worker: Worker) -> None:
    """The proof from the descriptor is exchanged for a token before the first request for work."""
    api.until(lambda: api.seen("/v1/work"))

    assert api.requests[0] == ("/v1/slots", wire.SlotRequest(proof="the proof"))


def test_a_child_knows_its_job(api: FakeApi, worker: Worker) -> None:
    """In a child the environment says that it runs on the platform, and which job it is."""

    def variables() -> tuple[str | None, ...]:
        return os.environ.get("PICLOUD_RUNNING"), os.environ.get("PICLOUD_JID")

    batch = api.submit(variables, [(), ()])

    assert [api.result(batch, n) for n in (0, 1)] == [("1", "1"), ("1", "2")]


def test_a_child_inherits_nothing(api: FakeApi, worker: Worker) -> None:
    """User code has standard streams, the child's four channels and two files, and no token."""

    def inherited() -> tuple[int, str]:
        opened = [n for n in range(3, 256) if Path(f"/proc/self/fd/{n}").exists()]
        return len(opened), sys.stdin.read()

    assert api.result(api.submit(inherited)) == (6, "")
    assert api.result(api.submit(lambda: os.getsid(0) == os.getpid()))


def test_state_stays_between_jobs_of_a_function(api: FakeApi, worker: Worker) -> None:
    """The function is unpickled once, as in a persistent interpreter."""
    count = [0]

    def bump() -> int:
        count[0] += 1
        return count[0]

    batch = api.submit(bump, [()] * 3, size=1)

    assert [api.result(batch, n) for n in range(3)] == [1, 2, 3]


def test_an_exception_is_a_failure(api: FakeApi, worker: Worker) -> None:
    """The traceback starts in user code, and the exception itself travels with it."""

    def outer() -> None:
        raise KeyError("missing")

    failure = api.failure(api.submit(outer))

    assert (failure.cause, failure.message) == (Cause.EXCEPTION, "KeyError: 'missing'")
    assert "in outer" in failure.traceback
    assert "picloud_worker" not in failure.traceback
    assert failure.pickled is not None


def test_a_segmentation_fault_is_a_failure(api: FakeApi, worker: Worker) -> None:
    """A crash names its signal and where Python was; other jobs of the lease are not harmed."""
    batch = api.submit(lambda n: n if n != 5 else ctypes.string_at(0), [(n,) for n in range(10)])

    failure = api.failure(batch, 5)

    assert (failure.cause, failure.message) == (Cause.SIGNAL, "signal 11 (SIGSEGV)")
    assert "Segmentation fault" in failure.traceback
    assert [api.result(batch, n) for n in range(10) if n != 5] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert api.ended[batch, 5].started_at > 0


@pytest.mark.parametrize("status", [0, 7])
def test_an_exit_is_no_result(api: FakeApi, worker: Worker, status: int) -> None:
    """os._exit in a job is an error, even with status 0."""
    failure = api.failure(api.submit(lambda: os._exit(status)))

    assert failure.cause == Cause.EXIT
    assert failure.message == f"the process ended without a result (exit status {status})"


def test_a_job_that_closes_everything_fails_alone(api: FakeApi, worker: Worker) -> None:
    """A job that closes the child's channels has no result; the slot goes on."""
    failure = api.failure(api.submit(lambda: os.closerange(3, 256)))

    assert failure.cause == Cause.EXIT
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_a_forked_copy_of_a_job_has_no_result(api: FakeApi, worker: Worker) -> None:
    """A job that forks and returns in both processes has one result."""
    batch = api.submit(lambda n: (n, os.fork() and 1), [(n,) for n in range(5)])

    assert [api.result(batch, n) for n in range(5)] == [(n, 1) for n in range(5)]


def test_output_is_bounded(api: FakeApi, worker: Worker) -> None:
    """The output of jobs does not fill the disk; its end is kept for failures."""

    def print_forever(path: str) -> None:
        while not Path(path).exists():
            os.write(2, b"x" * 65536)
            time.sleep(0.001)
        os.write(2, b"last words\n")
        os.abort()

    path = worker.workdir / "enough"
    batch = api.submit(print_forever, [(str(path),)])
    api.until(lambda: [beat for beat in api.seen("/v1/heartbeat") if beat.running])
    used_bytes = max(_deleted_bytes(worker) for _ in range(20))
    path.touch()

    failure = api.failure(batch)

    assert used_bytes < 64 * 1024 * 1024
    assert failure.message == "signal 6 (SIGABRT)"
    assert "last words" in failure.traceback


def _deleted_bytes(worker: Worker) -> int:
    files = Path(f"/proc/{worker.process.pid}/fd").iterdir()
    return sum(file.stat().st_blocks for file in files if "output-" in str(file.readlink())) * 512
