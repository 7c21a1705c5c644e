"""The loop of a child: it claims jobs, runs them in order, and sends how each ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from msgspec.structs import replace
from picloud_model.job import Cause, State
from picloud_model.pack import seal, unseal
from picloud_model.wire import LeasedJob, Options
from picloud_worker.child.loop import WAKE
from picloud_worker.ipc.claims import Claims
from picloud_worker.ipc.frames import Assignment, Frames, JobDone, frame
from picloud_worker.zygote.client import ZygoteClient

from tests.polling import until
from tests.unit.worker.leases import leased

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire import Lease


class Child:
    """A child, and the supervisor's ends of its channels."""

    def __init__(self, directory: Path) -> None:
        self.zygote = ZygoteClient.start(directory)
        self.claims = Claims()
        self.control, theirs = socket.socketpair()
        self._results, writer = os.pipe()
        self._frames = Frames(JobDone)
        with Path(os.devnull).open("w") as null:
            descriptors = [theirs.fileno(), self.claims.reader, writer, *[null.fileno()] * 3]
            self.index = self.zygote.fork(descriptors)
        theirs.close()
        os.close(writer)

    def assign(self, *leases: Lease, generation: int = 1, offered: int | None = None) -> None:
        """Give the child some leases, of which it may start so many jobs."""
        jobs = sum(len(lease.jobs) for lease in leases)
        self.claims.offer(jobs if offered is None else offered, generation)
        self.control.sendall(frame(Assignment(generation, "", [*leases])))

    def done(self, count: int) -> list[JobDone]:
        """Return the next ends of jobs."""
        ends: list[JobDone] = []
        while len(ends) < count:
            assert select.select([self._results], [], [], 10)[0]
            data = os.read(self._results, 1 << 16)
            assert data
            ends += self._frames.feed(data)
        return ends

    def exited(self) -> int:
        """Wait until the child exits; return its wait status."""
        ((index, status),) = until(lambda: list(self.zygote.exits()), "the child exits")
        assert index == self.index
        return status

    def close(self) -> None:
        """End the child and its zygote."""
        self.control.close()
        self.zygote.close()
        self.claims.close()
        os.close(self._results)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A child that waits for an assignment."""
    started = Child(tmp_path)
    yield started
    started.close()


def numbered(function: Any, count: int) -> Lease:
    """Return a lease of jobs that get their number."""
    jobs = [LeasedJob(n, 1, seal(cloudpickle.dumps(((n,), {})))) for n in range(count)]
    return replace(leased(function), jobs=jobs)


def value(done: JobDone) -> Any:
    """Return the result of a job."""
    return cloudpickle.loads(unseal(done.report.payload))


def test_jobs_run_in_order(child: Child) -> None:
    """Each end has its position in the assignment; the supervisor is woken after the last."""
    child.assign(numbered(lambda n: n * n, 3), numbered(lambda n: -n, 2))

    ends = child.done(5)

    assert [done.position for done in ends] == [0, 1, 2, 3, 4]
    assert [value(done) for done in ends] == [0, 1, 4, 0, -1]
    assert child.control.recv(1) == WAKE


def test_only_what_is_claimed_is_run(child: Child) -> None:
    """Jobs that the supervisor took back are not started, and the next assignment is."""
    child.assign(numbered(lambda n: n, 3), generation=1, offered=1)
    assert [value(done) for done in child.done(1)] == [0]

    child.assign(numbered(lambda n: n + 10, 1), generation=2)

    (done,) = child.done(1)
    assert (done.generation, done.position, value(done)) == (2, 0, 10)


def test_a_failed_job_does_not_stop_the_next(child: Child) -> None:
    """Its end is an error like any other end."""
    child.assign(numbered(lambda n: 1 // n, 2))

    ends = child.done(2)

    assert [done.report.state for done in ends] == [State.ERROR, State.DONE]
    assert ends[0].report.cause == Cause.EXCEPTION


def test_a_child_for_one_job_exits_after_it(child: Child) -> None:
    """With `kill_process` the others of the lease are left to another child."""
    lease = replace(numbered(lambda n: n, 2), options=Options(kill_process=True))

    child.assign(lease)

    assert value(child.done(1)[0]) == 0
    assert child.exited() == 0


def test_the_scoreboard_shows_the_job_that_runs(child: Child) -> None:
    """The supervisor sees the generation and the position of the job that started last."""
    child.assign(numbered(lambda n: time.sleep(60 * n), 2), generation=7)
    child.done(1)

    def at_second() -> bool:
        started = child.zygote.scoreboard.started_job(child.index)
        return started is not None and (started.generation, started.position) == (7, 1)

    until(at_second, "the second job runs")


def test_a_kill_ends_the_job_and_not_the_child(child: Child) -> None:
    """SIGTERM of the supervisor is raised inside the job, which ends as killed."""
    child.assign(numbered(lambda n: time.sleep(60 * (n == 0)), 1))
    until(lambda: child.zygote.scoreboard.started_job(child.index), "the job runs")
    time.sleep(0.1)
    child.zygote.scoreboard.terminate(child.index)

    child.zygote.signal(child.index, signal.SIGTERM)

    (done,) = child.done(1)
    assert (done.report.state, done.report.cause) == (State.KILLED, Cause.KILLED)


def test_a_child_ends_when_its_supervisor_hangs_up(child: Child) -> None:
    """Without an assignment it exits with success."""
    child.assign(numbered(lambda n: n, 1))
    child.done(1)
    assert child.control.recv(1) == WAKE

    child.control.shutdown(socket.SHUT_RDWR)

    assert child.exited() == 0
