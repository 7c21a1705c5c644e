"""`picloud replay`: what needs no job; `tests/e2e/test_replay.py` runs jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_a_new_job_has_no_debugger(run: Callable[..., Any]) -> None:
    """Options that exclude each other are a usage error, before any request."""
    outcome = run("replay", "7", "--pdb", "--submit")

    assert outcome.exit_code == exits.USAGE
    assert "a new job has no debugger" in outcome.stderr


def test_a_job_without_a_function_is_one_line(run: Callable[..., Any], server: FakeServer) -> None:
    """The server may have lost what the job ran with."""
    server.infos[7] = {"status": "error", "attributes": {}}

    outcome = run("replay", "7")

    assert outcome.exit_code == exits.OTHER
    assert outcome.stderr == "error: Job 7: The server no longer has its function.\n"
