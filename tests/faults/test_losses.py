"""Slots and children that no job has ended: their jobs run again, uncharged."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from cloud import CloudException

from tests.faults.traced_job import work
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

WAIT_S = 120.0


class Traces:
    """The executions of jobs, which run until a file says that they may end."""

    def __init__(self, stack: Stack) -> None:
        self.folder = stack.shared / "executions"
        self.folder.mkdir()
        self._end = stack.shared / "end"
        self.job = partial(run_until, folder=str(self.folder), end=str(self._end))

    def names(self) -> list[list[str]]:
        """The number and process id of each execution."""
        return [trace.name.split("-")[:2] for trace in self.folder.iterdir()]

    def numbers(self) -> list[int]:
        """The number of each execution."""
        return [int(number) for number, _ in self.names()]

    def await_executions(self, count: int) -> None:
        """Wait until there were so many executions."""
        until(lambda: len(self.names()) >= count, f"{count} executions", WAIT_S)

    def process(self, number: int) -> psutil.Process:
        """The process that runs a job now."""

        def running() -> psutil.Process | None:
            for at, pid in self.names():
                with suppress(psutil.NoSuchProcess):
                    if int(at) == number and psutil.Process(int(pid)).status() != "zombie":
                        return psutil.Process(int(pid))
            return None

        return until(running, f"job {number} runs", WAIT_S)

    def end(self) -> None:
        """Let all jobs end."""
        self._end.touch()


def run_until(number: int, folder: str, end: str) -> int:
    """Record this execution and wait for a file."""
    work(number, folder)
    while not Path(end).exists():
        time.sleep(0.05)
    return number


def test_running_jobs_survive_orderly_stops(begin_each: Callable[..., Stack]) -> None:
    """`picloud down` and `picloud up` four times: the jobs that ran then run again, uncharged."""
    stack = begin_each()
    traces = Traces(stack)
    client = stack.client(patient=True)
    jids = client.map(traces.job, range(2))
    for stops in range(1, 5):
        traces.await_executions(2 * stops)
        stack.stop()
        stack.start()

    traces.await_executions(10)
    traces.end()
    assert client.result(jids, WAIT_S) == [0, 1]
    client.close()


def test_running_jobs_survive_the_death_of_everything(begin_each: Callable[..., Stack]) -> None:
    """Four times every process is killed at once: no job is charged for it."""
    stack = begin_each()
    traces = Traces(stack)
    client = stack.client(patient=True)
    jids = client.map(traces.job, range(2))
    for kills in range(1, 5):
        traces.await_executions(2 * kills)
        stack.restart()

    traces.await_executions(10)
    traces.end()
    assert client.result(jids, WAIT_S) == [0, 1]
    client.close()


def test_jobs_of_terminated_slots_run_again(begin_each: Callable[..., Stack]) -> None:
    """SIGTERM to every process of the slots, as at a reboot, is not a kill by a user: the jobs run
    again, uncharged; one that must not is an error.
    """
    stack = begin_each()
    traces = Traces(stack)
    client = stack.client(patient=True)
    jids = client.map(traces.job, range(2))
    for ends in range(1, 5):
        traces.await_executions(2 * ends)
        slots = until(lambda: len(stack.slots()) == 2 and stack.slots(), "both slots are there")
        for slot in slots:
            for process in (*slot.children(recursive=True), slot):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGTERM)

    traces.await_executions(10)
    traces.end()
    assert client.result(jids, WAIT_S) == [0, 1]
    client.close()


def test_a_killed_child_is_tried_again_once(begin_each: Callable[..., Stack]) -> None:
    """SIGKILL to the process of a job alone: it runs again; the second time it is an error."""
    stack = begin_each()
    traces = Traces(stack)
    client = stack.client(patient=True)
    jids = client.map(traces.job, range(2))
    traces.process(0).kill()
    traces.process(1).kill()
    until(lambda: traces.numbers().count(1) == 2, "it runs again", WAIT_S)
    traces.process(1).kill()
    until(lambda: client.status(jids[1]) == "error", "it has ended", WAIT_S)
    once = client.call(traces.job, 2, _restartable=False)
    traces.process(2).kill()
    until(lambda: client.status(once) == "error", "it has ended", WAIT_S)
    traces.end()

    client.join(jids, WAIT_S, ignore_errors=True)
    assert client.status(jids) == ["done", "error"]
    assert sorted(traces.numbers()) == [0, 0, 1, 1, 2]
    with pytest.raises(CloudException, match="signal 9"):
        client.result(jids[1])
    client.close()


def test_no_job_that_never_began_is_an_error(begin_each: Callable[..., Stack]) -> None:
    """Of jobs that must not be restarted only those that had begun end with the death of
    everything; the others run, and none runs twice.
    """
    stack = begin_each()
    traces = Traces(stack)
    client = stack.client(patient=True)
    job = partial(work, folder=str(traces.folder), seconds=1.0)
    jids = client.map(job, range(16), _restartable=False)

    def each_that_began_left_a_trace() -> bool:
        statuses = client.status(jids)
        begun = {at for at, status in enumerate(statuses) if status == "processing"}
        return begun <= set(traces.numbers())

    for kills in (1, 2):
        traces.await_executions(5 * kills)
        # The other slot may be about to begin its job: then it counts as begun.
        until(each_that_began_left_a_trace, "each job that began has left a trace", WAIT_S)
        stack.restart()
    client.join(jids, WAIT_S, ignore_errors=True)

    numbers = traces.numbers()
    statuses = client.status(jids)
    assert len(numbers) == len(set(numbers))
    assert set(statuses) <= {"done", "error"}
    assert {at for at, status in enumerate(statuses) if status == "error"} <= set(numbers)
    client.close()
