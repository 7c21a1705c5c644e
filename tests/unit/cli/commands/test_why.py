"""`picloud why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from picloud import exits
from picloud.commands.why import _ADVICE
from picloud_model import pack, wire
from picloud_model.job import Cause
from picloud_model.wire import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_a_job_that_waits_says_for_what(run: Callable[..., Any], server: FakeServer) -> None:
    """The server's reason; a job that runs has none unless its result waits."""
    server.infos = {
        1: {"status": "queued", "why": "2 jobs are ahead of it."},
        2: {"status": "processing", "runtime": 2.5},
        3: {"status": "done", "why": ""},
        4: {"status": "processing", "runtime": 2.5, "why": "Its result waits."},
    }

    assert run("why", "1-4").stdout == (
        "Job 1: queued: 2 jobs are ahead of it.\nJob 2: processing for 2.50 s\nJob 3: done\n"
        "Job 4: processing for 2.50 s: Its result waits.\n"
    )


def test_a_job_that_failed_says_why_and_what_to_do(
    run: Callable[..., Any], server: FakeServer
) -> None:
    """The cause, the last line of its error, what it used, and advice for that cause."""
    failure = wire.Failure(cause=Cause.MEMORY, message="out of memory: it had 1 GB")
    payload = pack.seal(wire.encode(failure))
    server.next_jid = 8
    server.ended[7] = Outcome(jid=7, status="error", cause=Cause.MEMORY, payload=payload)
    server.infos[7] = {
        "status": "error",
        "cause": "out of memory",
        "runtime": 1.5,
        "memory.max_usage": 1_000_000_000,
        "attributes": {"cores": 1, "core_type": "c1"},
    }

    outcome = run("why", "7")

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == (
        "Job 7: error after 1.50 s: out of memory\n"
        "  it had 1 GB\n"
        "  It used 1.0 GB on 1 x c1.\n"
        "  Use more cores or another core type: a job has the memory of its cores.\n"
    )


def test_each_cause_has_advice() -> None:
    """Except for jobs that did not fail, or that a user killed."""
    assert set(_ADVICE) == set(Cause) - {Cause.NONE, Cause.KILLED}
