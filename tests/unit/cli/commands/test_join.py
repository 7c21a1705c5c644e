"""`picloud join`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits
from picloud_model.wire import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_join_says_nothing(run: Callable[..., Any], server: FakeServer) -> None:
    """No data, no output."""
    server.done(1, None)

    outcome = run("join", "1")

    assert (outcome.exit_code, outcome.output) == (exits.OK, "")


def test_a_failed_job_exits_with_3(run: Callable[..., Any], server: FakeServer) -> None:
    """One line on standard error, and the Primer's exit code."""
    server.failed(8, ValueError("no"))

    outcome = run("join", "8")

    assert outcome.exit_code == exits.JOB_FAILED == 3
    assert outcome.stdout == ""
    assert outcome.stderr == "error: Job 8: ValueError: no\n"


def test_a_killed_job_exits_with_3(run: Callable[..., Any], server: FakeServer) -> None:
    """Whatever a job failed of."""
    server.ended[8] = Outcome(jid=8, status="killed", cause=6)

    assert run("join", "8").exit_code == exits.JOB_FAILED


def test_too_late_exits_with_4(run: Callable[..., Any], server: FakeServer) -> None:
    """A timeout has an exit code of its own."""
    outcome = run("join", "1-2", "-t", "0")

    assert outcome.exit_code == exits.TIMEOUT
    assert "2 of 2 jobs are unfinished" in outcome.stderr
