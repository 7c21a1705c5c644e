"""`picloud mapexec`: what it sends, prints and refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.sdk.fake_server import FakeServer


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


def test_jids_as_json(run: Callable[..., Any]) -> None:
    """One line of JSON with the jids of all jobs."""
    outcome = run("-o", "json", "mapexec", "-k", "2", "date")

    assert json.loads(outcome.stdout) == {"jids": [1, 2]}


def test_mapexec_is_a_job_a_tuple(run: Callable[..., Any], server: FakeServer) -> None:
    """The promise: "$ picloud mapexec -n w1='hello','goodbye' -d w2='world' echo {w1}, {w2}"."""
    outcome = run("mapexec", "-n", "w1=hello,goodbye", "-d", "w2=world", "echo", "{w1},", "{w2}")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "1-2\n")
    assert rows(server) == [("hello",), ("goodbye",)]


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
    ("arguments", "message"),
    [
        (("mapexec", "date"), "give values: -n"),
        (("mapexec", "-n", "a=1,2", "-n", "b=1", "echo {a}{b}"), "a has 2, b has 1"),
        (("mapexec", "-n", "a=1", "-d", "a=1", "echo {a}"), "a is mapped, too"),
        (("mapexec", "-n", 'a="1', "echo {a}"), "the values of a"),
        (("mapexec", "-N", "/not/there", "echo {a}"), "/not/there cannot be read: No such file"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; its first line names the variables"),
        ("a,b\n1,2\n3\n", "line 3: 1 value, but 2 are needed: a, b"),
        ('a,b\n"1\n\n",2\n3,4,5\n', "line 5: 3 values, but 2 are needed"),
        ("a,b c\n1,2\n", "line 1: 'b c' is not a valid variable name"),
        ("a,a\n1,2\n", "line 1: 'a' is not a valid variable name, or is repeated"),
        ('a\n"1"2\n', "line 2: "),
        ('a\n1\n"2', "line 3: unexpected end of data"),
    ],
)
def test_a_ragged_argument_file_is_refused_with_the_line(
    run: Callable[..., Any], server: FakeServer, file: Callable[[str], str], text: str, message: str
) -> None:
    """The number of the line, as an editor counts."""
    outcome = run("mapexec", "-N", file(text), "echo", "{a}", "{b}")

    assert outcome.exit_code == exits.USAGE
    assert message in outcome.stderr
    assert server.sent == []
