"""Shell commands as jobs, on every stack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, shell

from tests.current_client import current_client
from tests.e2e.stacks import line_of
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

pytestmark = pytest.mark.containers

WAIT_S = 60.0


@pytest.fixture(autouse=True)
def current(client: Client) -> Iterator[None]:
    """`cloud.shell` talks to the stack."""
    with current_client(client):
        yield


def test_the_result_is_what_the_command_prints(client: Client) -> None:
    """The promise: "the result of a job created by picloud exec will always be a string"."""
    jid = shell.execute("echo {w1}, {w2}", {"w1": "hello", "w2": "world"})

    assert client.result(jid, WAIT_S) == "hello, world\n"


def test_a_map_runs_once_a_tuple(client: Client) -> None:
    """The promise: "The nth mapjob will use the nth value for its variable"."""
    jids = shell.execute_map("echo {w1}, {w2}", {"w2": "world"}, {"w1": ["hello", "goodbye"]})

    assert client.result(jids, WAIT_S) == ["hello, world\n", "goodbye, world\n"]


def test_python_of_a_command_is_the_slot_s(client: Client) -> None:
    """`python` has the packages that Python jobs have, whatever PATH the server has."""
    command = "python -c 'import sys, cloud; print(sys.prefix)'"

    assert client.result(shell.execute(command), WAIT_S).strip() == client.result(
        client.call(lambda: sys.prefix), WAIT_S
    )


def test_a_value_cannot_become_a_command(client: Client, stack: Stack) -> None:
    """Any quotes within the value and around it make no difference."""
    proof = stack.shared / "owned"
    evil = f"x'; touch {proof}; \"; touch {proof}; $(touch {proof}) `touch {proof}`\ntouch {proof}"
    jid = shell.execute("printf %s {w} \"{w}\" '{w}' $(printf %s {w} | wc -c)", {"w": evil})

    assert client.result(jid, WAIT_S) == evil * 3 + str(len(evil))
    assert not proof.exists()


def test_a_command_that_fails_is_an_error(client: Client) -> None:
    """The promise: a job is marked as error if "the program completes with a non-zero exit status".
    The error has the exit code and what the command said, and none of our own code.
    """
    jid = shell.execute("ls /dir-that-does-not-exist")

    with pytest.raises(CloudException, match="nonzero return code 2") as failed:
        client.result(jid, WAIT_S)

    assert client.status(jid) == "error"
    assert "No such file or directory" in str(failed.value.value)
    assert "Traceback" not in str(failed.value.value)
    assert isinstance(failed.value.__cause__, shell.CommandFailed)
    assert failed.value.__cause__.exit_code == 2


def test_a_file_is_the_result_where_it_is_asked_for(client: Client) -> None:
    """The content of `return_file` takes the place of stdout, also with an ignored exit code."""
    jid = shell.execute("echo no; echo yes > out; exit 1", {}, "out", ignore_exit_status=True)

    assert client.result(jid, WAIT_S) == "yes\n"


def test_a_command_runs_where_it_is_told_to(client: Client, tmp_path: Path, stack: Stack) -> None:
    """A command runs in `cwd`, which must exist."""
    here = shell.execute("pwd", cwd=str(stack.shared))
    nowhere = shell.execute("pwd", cwd=str(tmp_path / "missing"))

    assert client.result(here, WAIT_S) == f"{stack.shared}\n"
    with pytest.raises(CloudException, match=r"cannot run in .*missing: No such file"):
        client.result(nowhere, WAIT_S)


def test_a_command_is_killed_with_its_job(client: Client, stack: Stack) -> None:
    """All of its processes are killed, including those that ignore SIGTERM."""

    def lives() -> bool:
        return any("sleep 987654" in " ".join(line_of(each)) for each in stack.processes())

    jid = shell.execute("trap '' TERM; sleep 987654; true")
    until(lives, "the command runs")
    client.kill(jid)

    client.join(jid, WAIT_S, ignore_errors=True)

    assert client.status(jid) == "killed"
    until(lambda: not lives(), "the command is gone")


def test_large_output_arrives_whole(client: Client) -> None:
    """Megabytes of stdout and as many of stderr arrive; neither blocks the other."""
    jid = shell.execute("head -c 3000000 /dev/zero | tr '\\0' x | tee /dev/stderr")

    assert client.result(jid, WAIT_S) == "x" * 3_000_000
