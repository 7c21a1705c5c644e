"""Jobs that create jobs, and wait for them without a deadlock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress

from tests.e2e.recursion import down, fib
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

WAIT_S = 100.0


def g() -> str:
    """The inner job of the documentation."""
    return "i am the child of f"


def f() -> int:
    """The outer job of the documentation."""
    return cloud.call(g)


def test_a_job_creates_a_job(client: Client) -> None:
    """The promise: "Jobs that you create, can also create jobs.", with the Primer's example."""
    jid_g = client.result(client.call(f), WAIT_S)

    assert client.result(jid_g, WAIT_S) == "i am the child of f"


def test_a_job_finds_everything_set_up(client: Client, stack: Stack) -> None:
    """In a job `import cloud` is enough: it knows its server, and says where it runs."""

    def look() -> tuple[bool, str, str]:
        info = cloud.connection_info()
        return cloud.running_on_cloud(), info["server_url"], info["connection_type"]

    running, url, kind = client.result(client.call(look), WAIT_S)

    assert running
    assert kind == "http"
    assert url.startswith("http://")
    assert not cloud.running_on_cloud()


def test_modules_travel_on(script: Callable[..., str], tmp_path: Path) -> None:
    """A job's own job gets the modules that were shipped with the first, and its `__main__`."""
    (tmp_path / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    printed = script(
        """
import cloud, mine

SEVEN = 7

def inner(x):
    return mine.double(x) + SEVEN

def outer(x):
    return cloud.result(cloud.call(inner, x)), cloud.result(cloud.call(mine.double, x))

print(cloud.result(cloud.call(outer, 5)))
"""
    )

    assert printed.strip() == "(17, 10)"


def connections(jids: int) -> set[int]:
    """Return the sockets of this process after some calls."""
    cloud.result(cloud.map(abs, range(jids)))
    sockets = set()
    for name in Path("/proc/self/fd").iterdir():
        try:
            sockets.add(int(str(name.readlink()).strip("socket:[]")))
        except (OSError, ValueError):
            continue
    return sockets


def test_a_warm_child_keeps_its_connection(begin: Callable[..., Stack]) -> None:
    """Jobs that run one after the other in a child share one connection, each with a token of its
    own.
    """
    client = begin(slots=1).client()

    def work() -> tuple[int, set[int]]:
        cloud.status([])
        return os.getpid(), connections(0)

    def once() -> tuple[int, set[int]]:
        result: tuple[int, set[int]] = client.result(client.call(work), WAIT_S)
        return result

    (first, before), (second, after) = once(), once()

    assert first == second
    assert before & after


def secrets_in_sight() -> list[str]:
    """Return the tokens of jobs in the arguments and environments of all processes.

    They are found by their whole form: a program that searches for a part of it may run, too.
    """
    form = re.compile(r"pj_[0-9a-z]+_[0-9a-f]+_[0-9]+_[0-9]+_[0-9a-f]{32}")
    secrets = []
    for directory in Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                text = (directory / name).read_bytes().decode(errors="replace")
            except OSError:
                continue
            secrets += form.findall(text)
    return secrets


def test_no_token_lies_about(client: Client) -> None:
    """The token of a job is in no argument and no environment of any process."""

    def look() -> list[str]:
        cloud.status([])
        return secrets_in_sight()

    assert client.result(client.call(look), WAIT_S) == []


def own_token() -> tuple[str, str]:
    """Return the credential that this job sends to the server."""
    from cloud._client.current_job import CurrentJob

    job = CurrentJob.here()
    assert job is not None
    address = job.address()
    return address.url, address.key


def test_a_token_ends_with_its_attempt(client: Client) -> None:
    """A token taken out of a job opens nothing once the job has ended."""
    url, token = client.result(client.call(own_token), WAIT_S)
    thief = Client(ServerAddress(url, token), Config())

    with pytest.raises(CloudException, match="has ended"):
        thief.call(abs, -1)

    with pytest.raises(CloudException, match="has ended"):
        thief.status([1])


def test_a_token_is_good_for_its_own_account_only(client: Client, other: Client) -> None:
    """A job can reach jobs of its own account only; those of others do not exist for it."""

    def peek(jid: int) -> str:
        return str(cloud.status(jid))

    mine = client.call(abs, -1)
    others = other.map(abs, range(mine + 1000))[-1]

    with pytest.raises(CloudException, match=f"There is no job {others} in your account"):
        client.result(client.call(peek, others), WAIT_S)
    other.kill()


def forge(change: Callable[[str], str]) -> str:
    """Send a request with a changed token."""
    from cloud._client.current_job import CurrentJob

    job = CurrentJob.here()
    assert job is not None
    address = job.address()
    try:
        Client(ServerAddress(address.url, change(address.key)), Config()).status([1])
    except CloudException as error:
        return str(error)
    return "taken"


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token.replace("a0000001", "a0000002"),
        lambda token: "_".join([*token.split("_")[:3], "1", *token.split("_")[4:]]),
        lambda token: "pj_",
    ],
    ids=["signature", "account", "jid", "empty"],
)
def test_a_changed_token_is_refused(client: Client, change: Callable[[str], str]) -> None:
    """A job cannot act as another job, nor for another account."""
    client.join(client.map(abs, range(3)), WAIT_S)

    assert "has ended" in client.result(client.call(forge, change), WAIT_S)


def test_a_subprocess_of_a_job_is_that_job(client: Client) -> None:
    """A program that a job starts finds the server as the job does."""

    def run() -> str:
        program = "import cloud; print(cloud.result(cloud.call(pow, 2, 10)))"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout

    assert client.result(client.call(run), WAIT_S) == "1024\n"


def test_threads_of_a_job_wait_at_once(client: Client) -> None:
    """Several threads of one job may wait at the same time, each for its own jobs."""

    def many() -> list[int]:
        results: list[int] = []

        def one(number: int) -> None:
            results.append(cloud.result(cloud.call(abs, -number)))

        threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(results)

    assert client.result(client.call(many), WAIT_S) == list(range(6))


def test_blocking_recursion_does_not_block(client: Client) -> None:
    """PiCloud's own documentation: "blocking on such calls can, in some situations, trigger
    dead-lock [...] Consider running a recursive Fibonacci sequence". It runs here, on 2 slots.
    """
    assert client.result(client.call(fib, 10), WAIT_S) == 89


def test_one_slot_is_enough_to_wait(begin: Callable[..., Stack]) -> None:
    """While a job waits in the only slot, that slot runs what it waits for: its own jobs, their
    jobs, a map, and jobs that were made earlier by a client.
    """
    client = begin(slots=1).client()

    def sums(jid: int) -> int:
        mine = cloud.map(fib, range(5))
        return sum(cloud.result(mine)) + int(cloud.result(jid))

    def outer() -> int:
        earlier = cloud.call(abs, -100)
        return int(cloud.result(cloud.call(sums, earlier)))

    assert client.result(client.call(outer), WAIT_S) == 1 + 1 + 2 + 3 + 5 + 100


def test_every_way_to_wait_lets_others_run(begin: Callable[..., Stack]) -> None:
    """Whatever function a job waits with in the only slot, the jobs that it waits for run."""
    client = begin(slots=1).client()

    def waits() -> list[Any]:
        results: list[Any] = list(cloud.iresult(cloud.map(abs, [-1, -2])))
        results += sorted(value for _, value in cloud.iresult_unordered(cloud.map(abs, [-3, -4])))
        results.append(cloud.wait_for.status(cloud.call(abs, -5), "done"))
        cloud.join(jid := cloud.call(abs, -6))
        results.append(cloud.result(cloud.call(abs, -7, _depends_on=cloud.call(abs, -1))))
        return [*results, cloud.result(jid, timeout=60)]

    assert client.result(client.call(waits), WAIT_S) == [1, 2, 3, 4, "done", 7, 6]


def test_too_deep_says_deadlock(begin: Callable[..., Stack]) -> None:
    """Jobs nested deeper than the slots can hold blocked jobs get the error `deadlock` within 30 s;
    the slots go on.
    """
    client = begin(slots=1).client()
    assert client.result(client.call(down, 10), WAIT_S) == 10

    with pytest.raises(CloudException, match="deadlock") as caught:
        client.result(client.call(down, 40), 30.0)

    assert "_depends_on" in str(caught.value)
    assert client.result(client.call(abs, -1), WAIT_S) == 1


def own_result() -> Any:
    """Wait for this job itself."""
    return cloud.result(int(os.environ["PICLOUD_JID"]))


def test_a_job_that_waits_for_itself_says_deadlock(begin: Callable[..., Stack]) -> None:
    """Jobs that wait for each other never end by themselves: they get the same error."""
    client = begin(slots=2).client()

    with pytest.raises(CloudException, match="deadlock"):
        client.result(client.call(own_result), 30.0)


def test_a_timeout_inside_a_job(begin: Callable[..., Stack]) -> None:
    """A wait with a timeout ends by itself, and is not a deadlock."""
    client = begin(slots=1).client()

    def patient() -> str:
        try:
            cloud.result(int(os.environ["PICLOUD_JID"]), timeout=0.5)
        except cloud.CloudTimeoutError:
            return "timed out"
        return "?"

    assert client.result(client.call(patient), WAIT_S) == "timed out"


def test_a_waiting_job_is_killed(client: Client) -> None:
    """A job that waits for another one can be killed; the other one goes on."""

    def waits(jid: int) -> Any:
        return cloud.result(jid)

    slow = client.call(__import__("time").sleep, 30)
    until(lambda: client.status(slow) == "processing", "the slow job runs")
    jid = client.call(waits, slow)
    until(lambda: client.status(jid) == "processing", "it waits")

    client.kill(jid)

    with pytest.raises(CloudException, match="in waits"):
        client.result(jid, WAIT_S)
    assert client.status([jid, slow]) == ["killed", "processing"]
    client.kill(slow)


def test_an_inner_error_is_the_outer_one_s(client: Client) -> None:
    """The error of an inner job that is not caught reaches the caller of the outer one."""

    def outer() -> Any:
        return cloud.result(cloud.call(lambda: 1 // 0))

    with pytest.raises(CloudException) as caught:
        client.result(client.call(outer), WAIT_S)

    assert "ZeroDivisionError" in str(caught.value.value)
    assert "in outer" in str(caught.value.value)
