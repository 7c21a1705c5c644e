"""Jobs that kill the slot that runs them harm only themselves."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cloud import CloudException

from tests.faults.traced_job import work
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

WAIT_S = 120.0


def poison(number: int, folder: str, victim: int) -> Any:
    """Do what `work` does, except that one number kills its supervisor in the middle."""
    if number == victim:
        work(number, folder)
        zygote = os.getppid()
        supervisor = int(Path(f"/proc/{zygote}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(supervisor, signal.SIGKILL)
        signal.pause()
    return work(number, folder)


def executions(folder: Path) -> list[int]:
    """Return the number of each execution."""
    return [int(trace.name.partition("-")[0]) for trace in folder.iterdir()]


def test_a_poison_job_is_executed_three_times(begin: Callable[..., Stack]) -> None:
    """A job that kills its slot each time becomes an error after exactly three executions, with its
    cause. The others are done, and at most one execution of each was lost with the slot.
    """
    stack = begin()
    client = stack.client()
    folder = stack.shared / "executions"
    folder.mkdir()
    numbers = range(60)

    jids = client.map(poison, numbers, folder=str(folder), victim=40)
    client.join(jids, WAIT_S, ignore_errors=True)

    counts = Counter(executions(folder))
    times = counts.pop(40)
    print(f"\npoison executed {times} times, its neighbours {max(counts.values())} times at most")
    assert times == 3
    assert max(counts.values()) <= 2
    assert client.status(jids) == ["error" if number == 40 else "done" for number in numbers]
    with pytest.raises(CloudException, match="node lost: 3 slots were lost"):
        client.result(jids[40])
    client.close()


def test_a_job_that_may_not_be_restarted_is_executed_once(begin: Callable[..., Stack]) -> None:
    """The promise: "A hardware failure will then result in the job being given a status of error,
    rather than the job being restarted on another server."
    """
    stack = begin()
    client = stack.client()
    folder = stack.shared / "executions"
    folder.mkdir()
    numbers = range(20)

    jids = client.map(poison, numbers, folder=str(folder), victim=10, _restartable=False)
    client.join(jids, WAIT_S, ignore_errors=True)

    assert sorted(executions(folder)) == list(numbers)
    assert client.status(jids) == ["error" if number == 10 else "done" for number in numbers]
    with pytest.raises(CloudException, match=r"lost.*not restartable"):
        client.result(jids[10])
    client.close()


def test_a_job_that_may_not_be_restarted_is_not_after_a_crash_of_everything(
    begin: Callable[..., Stack],
) -> None:
    """No job that must not be restarted runs twice, although every process is killed."""
    stack = begin()
    client = stack.client(patient=True)
    folder = stack.shared / "executions"
    folder.mkdir()

    jids = client.map(work, range(40), folder=str(folder), seconds=0.05, _restartable=False)
    until(lambda: len(executions(folder)) > 10, "some have run")
    stack.restart()
    client.join(jids, WAIT_S, ignore_errors=True)

    statuses = client.status(jids)
    numbers_run = executions(folder)
    assert len(numbers_run) == len(set(numbers_run))
    assert set(statuses) == {"done", "error"}
    assert statuses.count("error") <= 2
    client.close()
