"""`picloud exec`: what it sends, prints and refuses."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from cloud.shell import Command
from picloud import exits
from picloud_model import pack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def commanded(server: FakeServer) -> Command:
    """The command of the only batch."""
    parcel = server.batch().function.data
    assert parcel is not None
    (found,) = pickle.loads(pack.unseal(parcel)).args
    assert isinstance(found, Command)
    return found


def test_exec_prints_the_jid(run: Callable[..., Any], server: FakeServer) -> None:
    """And nothing else, so that JID=`picloud exec ...` works."""
    outcome = run("exec", "echo", "hello,", "world")

    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (exits.OK, "1\n", "")
    assert commanded(server).command == "echo hello, world"


def test_jids_as_json(run: Callable[..., Any]) -> None:
    """One line of JSON, requested after the command or before it."""
    assert json.loads(run("exec", "--json", "date").stdout) == {"jids": [1]}
    assert json.loads(run("-o", "json", "exec", "date").stdout) == {"jids": [2]}


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exec",), "Missing argument"),
        (("exec", "--colour", "date"), "No such option: --colour"),
        (("exec", "echo", "{w1}"), "template variable {w1} has no value"),
        (("exec", "-d", "w2=1", "-d", "w1=1", "echo", "{w1}"), "no template variable {w2}"),
        (("exec", "-d", "w1", "echo"), "'w1' is not a valid assignment"),
        (("exec", "-d", "1=x", "echo"), "'1=x' is not a valid assignment"),
        (("exec", "-d", "a=x", "-d", "a=y", "echo {a}"), "a is given twice"),
        (("exec", "-t", "c9", "date"), "'c9' is not a valid core type: write c1, c2, f2, m1 or s1"),
        (("exec", "-c", "0", "date"), "it must be 1 or more"),
        (("exec", "--depends-on", "x", "date"), "'x' is not a valid job id"),
        (("exec", "--depends-on-errors", "x", "date"), "'x' is not valid: write abort or ignore"),
        (("exec", "-m", "0", "date"), "0 is not a valid time limit"),
        (("exec", "--os-env", "A", "date"), "'A' is not a valid assignment"),
    ],
)
def test_a_usage_error_is_one_line(
    run: Callable[..., Any], server: FakeServer, arguments: tuple[str, ...], message: str
) -> None:
    """It names the culprit and says where help is; nothing is sent."""
    outcome = run(*arguments)

    assert outcome.exit_code == exits.USAGE
    assert outcome.stdout == ""
    assert message in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert f"Try 'picloud {arguments[0]} --help'." in outcome.stderr.replace("root", "picloud")
    assert server.sent == []
