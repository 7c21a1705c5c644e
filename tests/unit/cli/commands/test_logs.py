"""`picloud logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits
from picloud.commands import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.unit.sdk.fake_server import FakeServer


def test_logs_keep_the_streams_apart(run: Callable[..., Any], server: FakeServer) -> None:
    """Stdout on stdout, stderr on stderr, not a character more."""
    server.infos[2] = {"stdout": "c\n", "stderr": "oh\n", "status": "done"}

    outcome = run("logs", "2")

    assert (outcome.stdout, outcome.stderr) == ("c\n", "oh\n")


def test_logs_of_several_jobs_say_whose_they_are(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """One job after the other."""
    for jid in (1, 2):
        server.infos[jid] = {"stdout": f"{jid}\n", "stderr": "", "status": "done"}

    assert run("logs", "1-2").stdout == "Output of jid 1:\n1\nOutput of jid 2:\n2\n"


def test_a_job_that_waits_says_why(run: Callable[..., Any], server: FakeServer) -> None:
    """On standard error, as it is not output of the job."""
    server.infos[1] = {"stdout": "", "stderr": "", "status": "queued", "why": "2 jobs are ahead."}

    outcome = run("logs", "1")

    assert (outcome.stdout, outcome.stderr) == ("", "Job 1 is queued: 2 jobs are ahead.\n")


def test_following_ends_as_the_job_did(run: Callable[..., Any], server: FakeServer) -> None:
    """A failure is an error with the exit code of `result` and `join`; each job's is named."""
    for jid in (1, 2, 3):
        server.infos[jid] = {"stdout": "step\n", "stderr": "", "status": "error"}
    server.done(1, None)
    server.failed(2, ValueError("bad value"))
    server.failed(3, KeyError("x"))

    one, several = run("logs", "-f", "2"), run("logs", "-f", "1-3")

    assert (one.exit_code, one.stdout) == (exits.JOB_FAILED, "step\n")
    assert one.stderr == "error: Job 2: ValueError: bad value\n"
    assert several.exit_code == exits.JOB_FAILED
    assert several.stderr.splitlines() == [
        "error: Job 2: ValueError: bad value",
        "error: Job 3: KeyError: 'x'",
    ]


def test_following_goes_on_until_the_end(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes in between is shown once, the last line too; what it waits for is said once."""
    job = server.infos[1] = {"status": "queued", "stdout": "", "stderr": "", "why": "No slot."}
    steps = iter([("queued", ""), ("queued", ""), ("queued", ""), ("processing", "erste "),
                  ("processing", "Zeile ü\n"), ("done", ""), ("done", "the last")])  # fmt: skip

    def go_on(_: int) -> None:
        job["status"], more = next(steps, ("done", ""))
        job["stdout"] += more

    server.on_info = go_on

    logs.follow_streams(1, ["stdout", "stderr"], poll_s=0)

    assert capsys.readouterr() == ("erste Zeile ü\nthe last", "Job 1 is queued: No slot.\n")
