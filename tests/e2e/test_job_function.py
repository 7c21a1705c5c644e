"""`cloud.job`, `job.value` and `cloud.RetryPolicy` on every stack."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest

from tests.polling import until

if TYPE_CHECKING:
    from tests.e2e.stacks import Stack

WAIT_S = 60.0


pytestmark = pytest.mark.usefixtures("as_current")


@cloud.job(label="add")
def add(*values: Any) -> Any:
    """Add what values hold."""
    total = 0
    for value in values:
        nested = value.values() if isinstance(value, dict) else value
        total += add(*nested) if isinstance(value, list | dict) else value
    return total


@cloud.job
def fib(n: int) -> int:
    """Make jobs of the function itself."""
    return n if n < 2 else sum(job.result() for job in (fib.call(n - 1), fib.call(n - 2)))


def kind_of(value: Any) -> str:
    """Say what has arrived."""
    return type(value).__name__


class Failing:
    """Fails some times; files count, as a job keeps nothing."""

    def __init__(self, path: Path, times: int) -> None:
        self.path, self.times = path, times

    def __call__(self, kind: type[Exception]) -> int:
        attempts = len(self.path.read_text()) if self.path.exists() else 0
        self.path.write_text("x" * (attempts + 1))
        if attempts < self.times:
            raise kind("not yet")
        return attempts


async def fail_once(path: Path) -> str:
    """Fail in an event loop, the first time."""
    return ["done"][Failing(path, 1)(OSError) - 1]


def test_jobs_in_arguments_arrive_as_results() -> None:
    """At any depth, of maps too; the new job begins when they are done."""
    first, many = add.call(1, 2), add.map([10, 20])

    nested = add.call(first, [first, {"a": many}], many[0])

    assert nested.result(WAIT_S) == 3 + 3 + 30 + 10
    assert nested.info("label") == {"label": "add"}
    assert add.starmap([(first, 1), (2, many[1])]).result(WAIT_S) == [4, 22]
    assert (add(1, 2), add.local([1], {"a": 2})) == (3, 3)


def test_a_function_makes_jobs_of_itself() -> None:
    """Its name in a job is the decorated function."""
    assert fib.call(4).result(WAIT_S) == 3


def test_call_gives_jobs_and_value_their_results() -> None:
    """`cloud.call` as in old scripts; `value` chooses the result."""
    job = cloud.call(abs, -1)
    with cloud.Executor() as executor:
        future = executor.submit(abs, -2)
        assert executor.submit(add.local, future, [job]).result(WAIT_S) == 3

    assert cloud.call(kind_of, job).result(WAIT_S) == "Job"
    assert cloud.call(kind_of, job.value).result(WAIT_S) == "int"
    assert cloud.call(add.local, [cloud.map(abs, [-1, -2]).value]).result(WAIT_S) == 3
    assert cloud.map(kind_of, [job, job.value, "x"]).result(WAIT_S) == ["Job", "int", "str"]


def test_a_job_whose_value_failed_does_not_run() -> None:
    """It is stalled; with "ignore" it says which job has no result."""
    bad = cloud.call(divmod, 1, 0)

    stalled = add.call(bad)
    ignoring = add.call(bad, _depends_on_errors="ignore")

    with pytest.raises(cloud.CloudException, match=f"job {bad}, which this one depends on"):
        stalled.result(WAIT_S)
    with pytest.raises(cloud.CloudException, match=f"Job {bad} failed: ZeroDivisionError"):
        ignoring.result(WAIT_S)


def test_a_failed_function_runs_again(stack: Stack, tmp_path: Path) -> None:
    """As often as the policy says, and only after exceptions that it names."""
    policy = cloud.RetryPolicy(3, delay=0.01, on=OSError)
    path = stack.shared / f"{tmp_path.name}-attempts"

    def run(times: int, kind: type[Exception], name: str) -> Any:
        return cloud.job(retries=policy)(Failing(Path(f"{path}-{name}"), times)).call(kind)

    good, bad, other = run(2, TimeoutError, "a"), run(3, OSError, "b"), run(1, KeyError, "c")
    waited = cloud.job(retries=policy)(fail_once).call(Path(f"{path}-d"))

    assert good.result(WAIT_S) == 2
    assert "attempt 2 of 3 failed with TimeoutError: not yet" in good.info("stderr")["stderr"]
    for job, kind in ((bad, OSError), (other, KeyError)):
        with pytest.raises(kind, match="not yet"):
            job.result(WAIT_S)
    assert len(Path(f"{path}-b").read_text()) == 3
    assert len(Path(f"{path}-c").read_text()) == 1
    assert waited.result(WAIT_S) == "done"


def test_functions_of_modules_travel_with_their_decorator(tmp_path: Path) -> None:
    """And use each other's decorated functions."""
    name = f"decorated_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "import cloud\n\n\n@cloud.job\ndef double(x):\n    return 2 * x\n\n\n"
        "@cloud.job(label='m')\ndef twice(x):\n    return double(double(x))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        module = __import__(name)
        assert module.twice.call(2).result(WAIT_S) == 8
        assert cloud.call(module.twice, 3).result(WAIT_S) == 12
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(name, None)


def test_a_function_that_lacks_memory_runs_on_a_larger_core(stack: Stack, tmp_path: Path) -> None:
    """Once for each core type, until it has enough; its job has the output, and says it."""
    count = stack.shared / f"{tmp_path.name}-attempts"

    def hungry(path: Path, enough: int) -> int:
        attempt = len(path.read_text()) + 1 if path.exists() else 1
        path.write_text("x" * attempt)
        print("attempt", attempt)
        if attempt < enough:
            raise MemoryError("the table is too large")
        return attempt

    grown = cloud.job(hungry, retries=cloud.RetryPolicy(2, delay=0, oom="grow"))
    job = grown.call(count, 2)

    assert job.result(WAIT_S) == 2
    written = job.info(["stdout", "stderr"])
    assert written["stdout"] == "attempt 1\nattempt 2\n"
    (first,) = re.findall(
        r"^picloud: out of memory on c1 \(job (\d+)\); the next attempt begins on c2$",
        written["stderr"],
        re.MULTILINE,
    )
    assert cloud.info(int(first), "cause")[int(first)] == {"cause": "out of memory"}
    info = cloud.info(int(first) + 1, "attributes")[int(first) + 1]["attributes"]
    assert info["core_type"] == "c2"


@pytest.mark.containers(only=True)
def test_a_function_that_its_machine_ends_runs_on_a_larger_core() -> None:
    """The kernel kills what exceeds the memory of its core type; Python raises nothing then."""

    def touches(megabytes: int) -> int:
        data = bytearray(megabytes << 20)
        data[::4096] = b"x" * len(data[::4096])
        return len(data) >> 20

    with pytest.raises(cloud.CloudException, match=r"out of memory .*the system ended the process"):
        cloud.job(touches).call(500).result(WAIT_S)
    job = cloud.job(touches, retries=cloud.RetryPolicy(1, oom="grow")).call(500)

    assert job.result(WAIT_S) == 500
    (first,) = re.findall(
        r"out of memory on c1 \(job (\d+)\); the next attempt begins on c2$",
        job.info("stderr")["stderr"],
        re.MULTILINE,
    )
    assert cloud.info(int(first), "cause")[int(first)] == {"cause": "out of memory"}


def test_a_function_that_fails_on_a_larger_core_ends(stack: Stack, tmp_path: Path) -> None:
    """With its own exception; a job that is killed takes the one along that it waits for."""
    started = stack.shared / f"{tmp_path.name}-started"

    def fails(path: Path) -> None:
        if not path.exists():
            path.touch()
            raise MemoryError
        raise KeyError("large")

    def sleeps(path: Path) -> None:
        path.write_text(str(os.getpid()))
        time.sleep(600)

    policy = cloud.RetryPolicy(1, oom="grow")
    with pytest.raises(KeyError, match="large"):
        cloud.job(fails, retries=policy).call(started).result(WAIT_S)
    held = started.with_suffix(".held")
    job = cloud.job(sleeps, retries=policy).call(held)
    until(lambda: held.exists() and held.read_text(), "it runs")
    job.kill()

    assert cloud.wait_for.status(job, "killed", timeout=WAIT_S) == "killed"
    assert cloud.wait_for.status(int(job) + 1, "killed", timeout=WAIT_S) == "killed"


def test_a_lost_slot_uses_up_no_attempt(stack: Stack, tmp_path: Path) -> None:
    """The function begins with its first attempt on another slot."""
    count = stack.shared / f"{tmp_path.name}-runs"

    def runs(path: Path) -> int:
        number = len(path.read_text()) + 1 if path.exists() else 1
        path.with_suffix(".pid").write_text(str(os.getpid()))
        path.write_text("x" * number)
        while number == 2 and not path.with_suffix(".go").exists():
            time.sleep(0.01)  # its slot is lost
        if number in (1, 3):
            raise OSError("not yet")
        return number

    job = cloud.job(runs, retries=cloud.RetryPolicy(2, delay=0)).call(count)
    until(lambda: count.exists() and count.read_text() == "xx", "the second attempt runs")
    pid = int(count.with_suffix(".pid").read_text())
    (slot,) = [each for each in stack.slots() if pid in {at.pid for at in each.children(True)}]
    for process in [slot, *slot.children(recursive=True)]:
        process.kill()

    assert job.result(WAIT_S) == 4
