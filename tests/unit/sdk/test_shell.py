"""`cloud.shell`: what is sent, and what is refused before anything is."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloud
import pytest
from cloud import CloudException, shell
from cloud._arguments.options import CallOptions
from cloud.shell import Command
from picloud_model import pack

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server in this process that the current client talks to."""
    found = FakeServer()
    with current_client(client_for(found)):
        yield found


def commanded(server: FakeServer) -> Command:
    """The command of the only batch."""
    parcel = server.batch().function.data
    assert parcel is not None
    job = pickle.loads(pack.unseal(parcel))
    (found,) = job.args
    assert isinstance(found, Command)
    return found


def test_commands_are_pickled_by_the_names_that_stored_batches_use() -> None:
    """Batches that a server has stored can still be run."""
    assert (Command.__module__, shell._equal.__module__) == ("cloud.shell", "cloud.shell")
    command = Command(command="echo {a}", values={"a": "1"}, names=("b",))
    assert pickle.loads(pickle.dumps(command)) == command


def test_a_command_is_a_job(server: FakeServer) -> None:
    """Its function is the SDK's own: none of it is sent, nor any module."""
    assert cloud.shell.execute("echo {w1}", {"w1": "hello"}) == 1

    assert server.paths() == ["POST /v1/jobs"]
    assert server.batch().function_name == "echo {w1}"
    assert server.batch().bundle == ""
    assert server.batch().function.size < 260
    assert commanded(server) == Command(command="echo {w1}", values={"w1": "hello"})


def test_lists_show_the_command(server: FakeServer) -> None:
    """On one line, shortened, and without the bytes that are not text."""
    shell.execute("echo a |\n  sort \udcff")
    shell.execute_rows(Command(command="x" * 1000), [()] * 2, CallOptions())

    shown = [batch.function_name for batch in server.batches.values()]
    assert shown[0] == "echo a | sort ?"
    assert (len(shown[1]), shown[1][-2:]) == (200, "x…")


def test_everything_asked_for_is_sent(server: FakeServer) -> None:
    """And options are the jobs' options."""
    shell.execute("x", {}, "out", True, "/tmp", _type="f2", _cores=4, _label="mine")

    assert commanded(server) == Command(
        command="x", return_file="out", ignore_exit_status=True, cwd="/tmp"
    )
    options = server.batch().options
    assert (options.core_type, options.cores, options.label) == ("f2", 4, "mine")


def test_a_map_is_a_job_a_tuple(server: FakeServer) -> None:
    """What is common is sent once, with the function; a job has its own values only."""
    jids = shell.execute_map("{a} {b} {c}", {"c": 0.5}, {"a": [1, 2], "b": ("x", Path("y"))})

    assert list(jids) == [1, 2]
    assert server.arguments() == [(("1", "x"), {}), (("2", "y"), {})]
    assert commanded(server).values == {"c": "0.5"}


def test_a_map_over_generators_and_over_nothing(server: FakeServer) -> None:
    """Any iterable will do; an empty one makes no job."""
    assert list(shell.execute_map("{a}", {}, {"a": (str(at) for at in range(3))})) == [1, 2, 3]
    assert list(shell.execute_map("{a}", None, {"a": []})) == []


def test_equal_jobs(server: FakeServer) -> None:
    """The command line makes copies of a command without values."""
    assert list(shell.execute_rows(Command(command="date"), [()] * 3, CallOptions())) == [1, 2, 3]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: shell.execute("echo {w}", {}), r"\{w\} has no value"),
        (lambda: shell.execute("echo", {"w": 1}), r"no template variable \{w\}"),
        (lambda: shell.execute("echo {w}", {"w": None}), r"\{w\} must be text, a number or a path"),
        (lambda: shell.execute("echo {w}", {"w": "a\0b"}), r"\{w\} has a NUL"),
        (lambda: shell.execute("echo {w}", {"w": "ä" * 70_000}), r"\{w\} is longer than 131,071"),
        (lambda: shell.execute("echo", ["w"]), "given as a dict"),  # type: ignore[arg-type]
        (lambda: shell.execute(" "), "must be text for a shell"),
        (lambda: shell.execute(["ls"]), "must be text for a shell"),  # type: ignore[arg-type]
        (lambda: shell.execute("ls", cwd=7), "cwd must be a path"),  # type: ignore[arg-type]
        (lambda: shell.execute("ls", w1="hello"), "no argument 'w1'"),
        (lambda: shell.execute("ls", _cors=1), "did you mean _cores"),
        (lambda: shell.execute_map("ls", {}, {}), "use execute for a single job"),
        (lambda: shell.execute_map("{a}", {}, {"a": "text"}), "must be an iterable"),
        (lambda: shell.execute_map("{a}", {"a": 1}, {"a": [1]}), "both common and mapped"),
        (
            lambda: shell.execute_map("{a}{b}", {}, {"a": [1, 2], "b": [1]}),
            r"as many values as the others: \{a\} has 2, \{b\} has 1",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    server: FakeServer, ask: Callable[[], Any], message: str
) -> None:
    """In one sentence that names the culprit, before anything is sent."""
    with pytest.raises(CloudException, match=message):
        ask()

    assert server.sent == []
