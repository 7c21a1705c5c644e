"""exec and mapexec: what they send, print and refuse."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from cloud._jobs.options import CallOptions
from cloud.shell import Command
from picloud import exits
from picloud.options.job import JobOptions
from picloud_model import pack
from picloud_model.wire import Options

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.sdk.fake_server import FakeServer


def commanded(server: FakeServer) -> Command:
    """The command of the only batch."""
    parcel = server.batch().function.data
    assert parcel is not None
    (found,) = pickle.loads(pack.unseal(parcel)).args
    assert isinstance(found, Command)
    return found


def rows(server: FakeServer) -> list[tuple[Any, ...]]:
    """The values of each job of the only batch."""
    return [args for args, _ in server.arguments()]


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], str]:
    """Writes an argument file; its path."""

    def write(text: str) -> str:
        path = tmp_path / "args.csv"
        path.write_text(text)
        return str(path)

    return write


def test_exec_prints_the_jid(run: Callable[..., Any], server: FakeServer) -> None:
    """And nothing else, so that JID=`picloud exec ...` works."""
    outcome = run("exec", "echo", "hello,", "world")

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (exits.OK, "1\n", "")
    assert commanded(server).command == "echo hello, world"


def test_jids_as_json(run: Callable[..., Any], server: FakeServer) -> None:
    """One line of JSON, the same for one job and for many; asked for here or before the command."""
    assert json.loads(run("exec", "--json", "date").stdout) == {"jids": [1]}
    assert json.loads(run("-o", "json", "mapexec", "-k", "2", "date").stdout) == {"jids": [2, 3]}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["echo a; echo b"], "echo a; echo b"),
        (["picloud exec echo hello world"], "picloud exec echo hello world"),
        (["sh", "-c", "echo a; echo b"], "sh -c 'echo a; echo b'"),
        (["ls", "-l", "--all", "-n"], "ls -l --all -n"),
        (["--", "-x"], "-x"),
        (["echo", "it's"], """echo 'it'"'"'s'"""),
    ],
)
def test_words_of_the_command_stay_what_they_are(
    run: Callable[..., Any], server: FakeServer, words: list[str], line: str
) -> None:
    """One word is a line for the shell; several are a program and its arguments, options too."""
    assert run("exec", *words).exit_code == exits.OK

    assert commanded(server).command == line


def test_values_fill_the_template(run: Callable[..., Any], server: FakeServer) -> None:
    """The promise: "$ picloud exec -d w1='hello' -d w2='world' echo {w1}, {w2}"."""
    run("exec", "-d", "w1=hello", "-d", "w2=a=b", "echo", "{w1},", "{w2}")

    assert commanded(server) == Command(
        command="echo {w1}, {w2}", values={"w1": "hello", "w2": "a=b"}
    )


def test_options_reach_the_job(run: Callable[..., Any], server: FakeServer) -> None:
    """Long and short ones; those not given are not sent."""
    run(
        *("exec", "-t", "f2", "-c", "4", "--label", "first job", "-p", "1", "--not-restartable"),
        *("--return-file", "out", "--ignore-exit-status", "--cwd", "/tmp", "my_program"),
    )

    options = server.batch().options
    assert (options.core_type, options.cores, options.label) == ("f2", 4, "first job")
    assert (options.priority, options.restartable) == (1, False)
    assert commanded(server) == Command(
        command="my_program", return_file="out", ignore_exit_status=True, cwd="/tmp"
    )


def test_every_option_reaches_the_jobs() -> None:
    """By the names of the wire; options that are not given have its defaults."""
    options = JobOptions(
        type="m1",
        cores=2,
        env="mine",
        vol=["a", "b"],
        label="x",
        priority=0,
        depends_on="7,9-10",
        depends_on_errors="ignore",
        max_runtime=1.5,
        not_restartable=True,
        os_env=["A=b", "C="],
        profile=True,
        kill_process=True,
        seed=3,
    )

    assert options.call_options() == CallOptions(
        options=Options(
            core_type="m1",
            cores=2,
            env="mine",
            vols=["a", "b"],
            label="x",
            priority=0,
            max_runtime_s=90.0,
            restartable=False,
            os_env_vars={"A": "b", "C": ""},
            profile=True,
            kill_process=True,
            seed=3,
        ),
        depends_on=((7, 7), (9, 10)),
        depends_on_errors="ignore",
    )
    assert JobOptions().call_options() == CallOptions()


def test_mapexec_is_a_job_a_tuple(run: Callable[..., Any], server: FakeServer) -> None:
    """The promise: "$ picloud mapexec -n w1='hello','goodbye' -d w2='world' echo {w1}, {w2}"."""
    outcome = run("mapexec", "-n", "w1=hello,goodbye", "-d", "w2=world", "echo", "{w1},", "{w2}")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "1-2\n")
    assert rows(server) == [("hello",), ("goodbye",)]
    assert commanded(server).values == {"w2": "world"}


def test_quotes_keep_a_comma_in_a_value(run: Callable[..., Any], server: FakeServer) -> None:
    """As in a CSV file."""
    run("mapexec", "-n", 'a="x,y",z,', "-n", "b=1,2,3", "echo {a} {b}")

    assert rows(server) == [("x,y", "1"), ("z", "2"), ("", "3")]


def test_an_argument_file_is_a_job_a_line(
    run: Callable[..., Any], server: FakeServer, file: Callable[[str], str]
) -> None:
    """Its first line names the variables; empty lines do not count."""
    path = file('city,days\nBerlin,3\n\n"New York, NY",5\n')

    assert run("mapexec", "-N", path, "./forecast", "{city}", "{days}").stdout == "1-2\n"

    assert rows(server) == [("Berlin", "3"), ("New York, NY", "5")]


def test_a_list_and_a_file_are_taken_together(
    run: Callable[..., Any], server: FakeServer, file: Callable[[str], str]
) -> None:
    """Line by line."""
    run("mapexec", "-N", file("a\n1\n2\n"), "-n", "b=x,y", "echo {a} {b}")

    assert rows(server) == [("x", "1"), ("y", "2")]


def test_copies(run: Callable[..., Any], server: FakeServer) -> None:
    """Of each tuple."""
    assert run("mapexec", "-k", "2", "-n", "a=x,y", "echo", "{a}").stdout == "1-4\n"

    assert rows(server) == [("x",), ("x",), ("y",), ("y",)]


def test_no_rows_are_no_jobs(
    run: Callable[..., Any], server: FakeServer, file: Callable[[str], str]
) -> None:
    """Nothing is printed on standard output then."""
    outcome = run("mapexec", "-N", file("a\n"), "echo", "{a}")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "")
    assert outcome.stderr == "No values, no jobs.\n"
    assert server.sent == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("exec",), "Missing argument"),
        (("exec", "--colour", "date"), "No such option: --colour"),
        (("exec", "echo", "{w1}"), "template variable {w1} has no value"),
        (("exec", "-d", "w2=1", "-d", "w1=1", "echo", "{w1}"), "no template variable {w2}"),
        (("exec", "-d", "w1", "echo"), "'w1' is no assignment"),
        (("exec", "-d", "1=x", "echo"), "'1=x' is no assignment"),
        (("exec", "-d", "a=x", "-d", "a=y", "echo {a}"), "a is given twice"),
        (("exec", "-t", "c9", "date"), "'c9' is no core type; there are c1, c2, f2, m1, s1"),
        (("exec", "-c", "0", "date"), "greater than or equal to 1"),
        (("exec", "--depends-on", "x", "date"), "'x' is no job id"),
        (("exec", "--depends-on-errors", "x", "date"), "'x' is neither abort nor ignore"),
        (("exec", "-m", "0", "date"), "0 is no time to run"),
        (("exec", "--os-env", "A", "date"), "'A' is no assignment"),
        (("mapexec", "date"), "give values: -n"),
        (("mapexec", "-n", "a=1,2", "-n", "b=1", "echo {a}{b}"), "a has 2, b has 1"),
        (("mapexec", "-n", "a=1", "-d", "a=1", "echo {a}"), "a is mapped, too"),
        (("mapexec", "-n", 'a="1', "echo {a}"), "the values of a"),
        (("mapexec", "-N", "/not/there", "echo {a}"), "/not/there cannot be read: No such file"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    run: Callable[..., Any], server: FakeServer, arguments: tuple[str, ...], said: str
) -> None:
    """It names the culprit and says where help is; nothing is sent."""
    outcome = run(*arguments)

    assert outcome.exit_code == exits.USAGE
    assert outcome.stdout == ""
    assert said in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert f"Try 'picloud {arguments[0]} --help'." in outcome.stderr.replace("root", "picloud")
    assert server.sent == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; its first line names the variables"),
        ("a,b\n1,2\n3\n", "line 3: 1 value, but 2 are needed: a, b"),
        ('a,b\n"1\n\n",2\n3,4,5\n', "line 5: 3 values, but 2 are needed"),
        ("a,b c\n1,2\n", "line 1: 'b c' names no variable"),
        ("a,a\n1,2\n", "line 1: 'a' names no variable, or one that is named before"),
        ('a\n"1"2\n', "line 2: "),
        ('a\n1\n"2', "line 3: unexpected end of data"),
    ],
)
def test_a_ragged_argument_file_is_refused_with_the_line(
    run: Callable[..., Any], server: FakeServer, file: Callable[[str], str], text: str, said: str
) -> None:
    """The number of the line, as an editor counts."""
    outcome = run("mapexec", "-N", file(text), "echo", "{a}", "{b}")

    assert outcome.exit_code == exits.USAGE
    assert said in outcome.stderr
    assert server.sent == []
