"""`picloud ssh`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud import exits

from tests.unit.cli.command_runner import invoke

if TYPE_CHECKING:
    from tests.unit.sdk.fake_server import FakeServer


def test_a_job_that_has_ended_has_no_shell(server: FakeServer) -> None:
    """It says so at once, with the exit code of jobs that failed where it did."""
    server.next_jid = 9
    server.done(7, 1)
    server.failed(8, ValueError("no"))

    done, failed = invoke("ssh", "7"), invoke("ssh", "8")

    assert (done.exit_code, done.stderr) == (1, "error: Job 7 has already ended (done).\n")
    assert (failed.exit_code, failed.stderr) == (3, "error: Job 8 has already ended (error).\n")


def test_a_job_that_has_not_begun_is_awaited(server: FakeServer) -> None:
    """It says so, and gives up after the time that it was given."""
    server.next_jid = 9

    waited = invoke("ssh", "--timeout", "0", "7")

    assert waited.exit_code == exits.TIMEOUT
    assert waited.stderr.startswith("Waiting until job 7 starts; Ctrl-C stops.\n")
