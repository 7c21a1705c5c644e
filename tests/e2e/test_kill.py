"""`cloud.kill`: jobs that are no longer needed."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0


def infinite_loop() -> None:
    """The job of the documentation: "start a job which will never end"."""
    print("in the loop", flush=True)
    while True:
        time.sleep(0.01)


def deaf_loop() -> None:
    """A job that ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(0.01)


def swallowing_loop() -> None:
    """A job that catches every exception."""
    while True:
        try:
            time.sleep(1)
        except BaseException:
            time.sleep(0.01)


def busy_loop() -> None:
    """A job that stays in C code."""
    sum(range(10**12))


def runs(client: Client, jid: int) -> None:
    """Wait until a job runs."""
    until(lambda: client.status(jid) == "processing", f"job {jid} runs")


def test_a_killed_job_shows_where_it_was(client: Client) -> None:
    """The promise: "Python jobs that willingly exit will also provide an exception traceback
    showing at what point the SIGTERM was received."
    """
    jid = client.call(infinite_loop)
    until(
        lambda: "in the loop" in (client.info(jid, ["stdout"])[jid]["stdout"] or ""),
        "the function itself runs, after what it imports",
    )

    client.kill(jid)

    with pytest.raises(CloudException) as caught:
        client.result(jid, WAIT_S)
    assert client.status(jid) == "killed"
    assert caught.value.status == "killed"
    assert "in infinite_loop" in str(caught.value)
    assert "time.sleep(0.01)" in str(caught.value)


@pytest.mark.parametrize("job", [deaf_loop, swallowing_loop, busy_loop])
def test_a_job_that_does_not_listen_is_ended(client: Client, job: Callable[[], None]) -> None:
    """The promise: "If they do not exit willingly in one second, then the jobs will be forcibly
    terminated."
    """
    jid = client.call(job)
    runs(client, jid)
    started = time.monotonic()

    client.kill(jid)
    client.join(jid, WAIT_S, ignore_errors=True)

    assert client.status(jid) == "killed"
    assert time.monotonic() - started < 30
    assert client.result(client.call(abs, -1), WAIT_S) == 1


def test_nothing_of_a_killed_job_goes_on(client: Client, stack: Stack) -> None:
    """A killed job, and all processes that it started, stop."""
    beats = stack.shared / "beats"

    def spawn(path: str) -> None:
        import subprocess

        command = f"while true; do echo >> {path}; sleep 0.02; done"
        subprocess.Popen(["sh", "-c", command], start_new_session=True).wait()

    jid = client.call(spawn, str(beats))
    until(beats.exists, "the job's process runs")
    client.kill(jid)
    client.join(jid, WAIT_S, ignore_errors=True)

    until(lambda: not any("beats" in " ".join(each) for each in lines(stack)), "it has ended")


def lines(stack: Stack) -> list[list[str]]:
    """Return the command lines of a stack's processes."""
    from tests.e2e.stacks import line_of

    return [line_of(process) for process in stack.processes()]


def test_queued_jobs_are_killed_at_once(client: Client) -> None:
    """The promise: "Any job can be aborted, whether it's waiting in the queue [...]." """
    blockers = client.map(lambda _: time.sleep(60), range(4))
    queued = client.map(abs, range(5000), _priority=1000)

    client.kill(queued)

    assert set(client.status(queued)) == {"killed"}
    with pytest.raises(CloudException, match="killed"):
        client.result(queued[17], WAIT_S)
    client.kill(blockers)
    client.join(blockers, WAIT_S, ignore_errors=True)
    assert set(client.status(blockers)) == {"killed"}


def test_killing_a_finished_job_does_nothing(client: Client) -> None:
    """The promise: "Aborting a finished job does nothing." """
    jid = client.call(abs, -1)
    client.join(jid, WAIT_S)

    assert client.kill(jid) == 0

    assert client.status(jid) == "done"
    assert client.result(jid) == 1


def test_kill_without_jids_ends_everything_unfinished(begin: Callable[..., Stack]) -> None:
    """The promise: "If you pass no arguments into kill, all unfinished jobs are killed." """
    client = begin(slots=1).client()
    done = client.call(abs, -1)
    client.join(done, WAIT_S)
    jids = [client.call(infinite_loop), *client.map(abs, range(1500)), client.call(infinite_loop)]

    client.kill()

    client.join(jids, WAIT_S, ignore_errors=True)
    statuses = client.status(jids)
    assert statuses[0] == statuses[-1] == "killed"
    assert set(statuses) <= {"killed", "done"}
    assert client.status(done) == "done"
    client.close()


def test_kill_ends_only_the_jobs_of_its_account(client: Client, other: Client) -> None:
    """A kill ends no job of another account, not even without jids."""
    theirs = other.call(infinite_loop)
    runs(other, theirs)

    client.kill()

    assert other.status(theirs) == "processing"
    other.kill(theirs)
    other.join(theirs, WAIT_S, ignore_errors=True)


def test_a_job_killed_as_it_starts_never_hangs(client: Client) -> None:
    """A kill that meets a job on its way into a slot ends it all the same."""
    for pause in (0, 0.005, 0.02, 0.1, 0.25):
        jid = client.call(infinite_loop)
        time.sleep(pause)

        client.kill(jid)

        client.join(jid, 10, ignore_errors=True)
        assert client.status(jid) == "killed"


def test_the_rest_of_a_map_goes_on(client: Client, tmp_path: Path) -> None:
    """The other jobs of a map are not affected when one is killed."""

    def some(number: int) -> int:
        if number == 1:
            time.sleep(600)
        return number

    jids = client.map(some, range(20))
    runs(client, jids[1])

    client.kill(jids[1])

    results = client.result(jids, WAIT_S, ignore_errors=True)
    assert results.pop(1).status == "killed"
    assert results == [number for number in range(20) if number != 1]
