"""`picloud result`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1024, "1024\n"),
        ("hello, world", "hello, world"),
        ("ends\n", "ends\n"),
        ([1, None, "ü"], '[1, null, "ü"]\n'),
        (None, "null\n"),
    ],
)
def test_a_result_is_text_or_json(
    run: Callable[..., Any], server: FakeServer, value: Any, shown: str
) -> None:
    """Strings are printed as they are, everything else as JSON."""
    server.done(1, value)

    outcome = run("result", "1")

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == shown


def test_several_results_say_whose_they_are(run: Callable[..., Any], server: FakeServer) -> None:
    """As the Primer shows it."""
    server.done(1, 3)
    server.done(2, "hello, world")

    assert run("result", "1-2").stdout == (
        "Result for jid 1:\n3\nResult for jid 2:\nhello, world\n"
    )


def test_results_as_json(run: Callable[..., Any], server: FakeServer) -> None:
    """One line of JSON for all of them."""
    server.done(1, 3)
    server.done(2, "x")

    assert json.loads(run("result", "1-2", "--json").stdout) == [
        {"jid": 1, "result": 3},
        {"jid": 2, "result": "x"},
    ]


@pytest.mark.parametrize("value", [object, {1, 2}, float("nan"), {(1, 2): 3}])
def test_a_result_without_json_is_shown_as_python_shows_it(
    run: Callable[..., Any], server: FakeServer, value: Any
) -> None:
    """A person reads it."""
    server.done(7, value)

    outcome = run("result", "7")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, f"{value!r}\n")


def test_only_a_result_without_json_is_missing_in_json(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """The others are printed; the exit code and a message name the job."""
    for jid, value in enumerate((1, {1, 2}, "text"), 1):
        server.done(jid, value)

    outcome = run("result", "1-3", "--json")

    assert outcome.exit_code == exits.OTHER
    assert json.loads(outcome.stdout) == [
        {"jid": 1, "result": 1},
        {"jid": 2, "result": None, "error": "a value of type set has no JSON representation"},
        {"jid": 3, "result": "text"},
    ]
    assert outcome.stderr.startswith("error: Job 2: the result has no JSON representation;")


def test_a_failed_job_exits_with_3(run: Callable[..., Any], server: FakeServer) -> None:
    """One line on standard error, and the Primer's exit code."""
    server.failed(8, ValueError("no"))

    outcome = run("result", "8")

    assert outcome.exit_code == exits.JOB_FAILED == 3
    assert outcome.stdout == ""
    assert outcome.stderr == "error: Job 8: ValueError: no\n"


def test_debug_shows_the_traceback(
    run: Callable[..., Any], server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remote traceback and the client's."""
    server.failed(8, ValueError("no"))

    outcome = run("--debug", "result", "8")

    assert outcome.exit_code == exits.JOB_FAILED
    assert "Traceback" in outcome.stderr


def test_errors_can_be_ignored(run: Callable[..., Any], server: FakeServer) -> None:
    """The error of a failed job then replaces its result."""
    server.failed(1, ValueError("no"))

    outcome = run("result", "-i", "1")

    assert (outcome.exit_code, outcome.stdout) == (exits.OK, "error: ValueError: no\n")


def test_too_late_exits_with_4(run: Callable[..., Any], server: FakeServer) -> None:
    """A timeout has an exit code of its own."""
    outcome = run("result", "1-2", "-t", "0")

    assert outcome.exit_code == exits.TIMEOUT
    assert "2 of 2 jobs are unfinished" in outcome.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("result", "1", "-t", "-1"),
        ("result", "1", "-t", "soon"),
    ],
)
def test_a_usage_error_exits_with_2(
    run: Callable[..., Any], server: FakeServer, arguments: tuple[Any, ...]
) -> None:
    """No request is sent."""
    outcome = run(*arguments)

    assert outcome.exit_code == exits.USAGE
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr
    assert server.sent == []


def test_errors_cannot_take_over_the_terminal(run: Callable[..., Any], server: FakeServer) -> None:
    """Control characters in a job's message are shown, not obeyed."""
    server.failed(1, ValueError("\x1b]0;title\x07red\x1b[31m\u202e"))

    assert run("result", "1").stderr == (
        "error: Job 1: ValueError: \\x1b]0;title\\x07red\\x1b[31m\\u202e\n"
    )


def test_data_in_a_pipe_is_untouched(run: Callable[..., Any], server: FakeServer) -> None:
    """What a program reads is what the job returned."""
    server.done(1, "\x1b[31mred")

    assert run("result", "1").stdout == "\x1b[31mred"


@pytest.mark.parametrize("options", [(), ("--raw",)])
@pytest.mark.parametrize(
    "value", [b"\xff\x00\r\n", b"", b"\n", b"no newline", "", "no newline", "é\r\n\n", "\ufeff"]
)
def test_a_single_result_goes_into_a_pipe_as_it_is(
    run: Callable[..., Any], server: FakeServer, value: str | bytes, options: tuple[str, ...]
) -> None:
    """Text and bytes, with the newlines they have and no other: `picloud result 1 > plot.png`."""
    server.done(1, value)

    shown = run("result", "1", *options).stdout_bytes

    assert shown == (value if isinstance(value, bytes) else value.encode())


def test_bytes_have_no_json(run: Callable[..., Any], server: FakeServer) -> None:
    """JSON has no such value."""
    server.done(1, b"\xff\x00")

    assert run("result", "1", "--json").exit_code == exits.OTHER
