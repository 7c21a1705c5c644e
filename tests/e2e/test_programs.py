"""Programs of users: several at once, the command line, and a server that does not run."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException
from cloud._client.client import Client
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress
from cloud.errors import CloudConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

WAIT_S = 60.0
PICLOUD = str(Path(sys.executable).with_name("picloud"))


def picloud(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [PICLOUD, *arguments],
        env=stack.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_another_program_sees_the_same_jobs(client: Client, script: Callable[..., str]) -> None:
    """The promise: "This jid can be used to access information about the job": in any program with
    the key.
    """
    printed = script("import cloud, json; print(json.dumps(list(cloud.map(pow, [2, 3], [10, 2]))))")
    jids = json.loads(printed)

    assert client.result(jids, WAIT_S) == [1024, 9]
    mine = client.call(lambda: ["from here"])
    assert script(f"import cloud; print(cloud.result({mine}, timeout=60))") == "['from here']\n"


def test_a_program_that_ends_leaves_its_jobs_running(
    client: Client, script: Callable[..., str]
) -> None:
    """Jobs belong to the account, not to the program that made them."""
    printed = script(
        "import cloud, time; print(cloud.call(lambda: time.sleep(0.5) or 'done alone'))"
    )

    assert client.result(int(printed), WAIT_S) == "done alone"


def test_the_example_of_the_documentation_runs(script: Callable[..., str]) -> None:
    """The module's functions do what the client's methods do, in the order of the first page."""
    printed = script(
        "import cloud\n"
        "def add(x, y):\n"
        "    return x + y\n"
        "jid = cloud.call(add, 1, 2)\n"
        "cloud.join(jid)\n"
        "print(cloud.status(jid), cloud.result(jid))\n"
        "print(cloud.result(cloud.map(add, [1, 2, 3], [1, 2, 3])))\n"
        "cloud.kill(jid)\n"
        "print(cloud.status([jid]), cloud.running_on_cloud(), cloud.is_simulated())\n"
        "print(cloud.result(cloud.call(cloud.running_on_cloud)))\n"
    )

    assert printed == "done 3\n[2, 4, 6]\n['done'] False False\nTrue\n"


def test_a_wrong_key_is_refused_in_one_sentence(stack: Stack) -> None:
    """The error for an unknown key says what to do, and never contains the key."""
    secret = "pk_0123456789ab_" + "s" * 43
    client = stack.client(secret)

    with pytest.raises(
        CloudException, match=r"does not know this API key.*cloud\.setkey"
    ) as refused:
        client.call(abs, 1)

    assert refused.value.code == "key.refused"
    assert secret not in str(refused.value) + repr(client.address)
    client.close()


def test_no_server_is_said_in_one_sentence() -> None:
    """If no server listens, the error says so, and how to start one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        address = ServerAddress(f"http://127.0.0.1:{taken.getsockname()[1]}", "pk_a_b")
        client = Client(address, Config())

        with pytest.raises(CloudConnectionError, match=r"No PiCloud server answers.*picloud up"):
            client.call(abs, 1)

    client.close()


def test_the_command_line_asks_for_status(stack: Stack, client: Client) -> None:
    """The promise: "$ picloud status 1,2" prints one line for each job."""
    jids = client.map(abs, [-1, -2, -3])
    client.join(jids, WAIT_S)

    done = picloud(stack, "status", f"{jids[0]},{jids[1]}-{jids[2]}")

    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["jid", "status"],
        *([str(jid), "done"] for jid in jids),
    ]


def test_the_command_line_asks_for_results(stack: Stack, client: Client) -> None:
    """The promise: "$ picloud result 1-2" waits, and prints text unchanged and other values as
    JSON.
    """
    one, two = client.call(lambda: "hello, world"), client.call(lambda: {"a": [1, None]})

    done = picloud(stack, "result", f"{one},{two}")

    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f'Result for jid {one}:\nhello, world\nResult for jid {two}:\n{{"a": [1, null]}}\n'
    )


@pytest.mark.parametrize("command", ["result", "join"])
def test_the_command_line_exits_with_3_for_a_failed_job(
    stack: Stack, client: Client, command: str
) -> None:
    """The promise: "When executing picloud result or picloud join on a job that has error-ed, the
    return code will be 3."
    """
    jid = client.call(lambda: 1 / 0)

    done = picloud(stack, command, str(jid))

    assert done.returncode == 3
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == f"error: Job {jid}: ZeroDivisionError: division by zero"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: division by zero"
    assert "picloud_worker" not in done.stderr


def test_the_command_line_kills(stack: Stack, client: Client) -> None:
    """The promise: "$ picloud kill [jid]" aborts a job."""
    jid = client.call(lambda: __import__("time").sleep(600))

    done = picloud(stack, "kill", str(jid))
    late = picloud(stack, "join", str(jid), "--timeout", "30")

    assert done.returncode == 0, done.stderr
    assert (late.returncode, client.status(jid)) == (3, "killed")


def test_the_command_line_gives_up_after_its_timeout(stack: Stack, client: Client) -> None:
    """A join that exceeds its timeout exits with 4 and ends no job."""
    jid = client.call(lambda: __import__("time").sleep(600))

    done = picloud(stack, "join", str(jid), "--timeout", "0.2")

    assert done.returncode == 4
    assert client.status(jid) in ("queued", "processing")
    client.kill(jid)


def test_the_command_line_says_what_it_does_not_find(stack: Stack) -> None:
    """An unknown jid is one line on standard error."""
    done = picloud(stack, "status", "999999999")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: There is no job 999999999 in your account.\n"
