"""`picloud jobs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


def test_calls_and_maps_are_a_row_each(run: Callable[..., Any], server: FakeServer) -> None:
    """Newest first; the row of a map has all its jids and counts of their statuses."""
    server.list_batch()
    server.list_batch(1000, done=988, error=12)

    rows = [row.split("\t") for row in run("jobs").stdout.splitlines()]

    assert rows[0] == ["jid", "status", "function", "label", "created", "runtime"]
    assert rows[1][:3] == ["2-1001", "988 done, 12 error", "f"]
    assert rows[2][:3] == ["1", "done", "f"]
    assert rows[1][-1] == "1.50 s"


def test_it_says_that_there_are_older_jobs(run: Callable[..., Any], server: FakeServer) -> None:
    """With how to see them."""
    for _ in range(5):
        server.list_batch(10)

    cut = run("jobs", "-n", "3")
    rest = run("jobs", "--before", "21")

    assert len(cut.stdout.splitlines()) == 4
    assert cut.stderr == "There are older jobs: use --before 21, or -n for more rows.\n"
    assert [row.split("\t")[0] for row in rest.stdout.splitlines()[1:]] == ["11-20", "1-10"]
    assert rest.stderr == ""


def test_without_jobs_it_says_so(run: Callable[..., Any], server: FakeServer) -> None:
    """On standard error: a program still gets its header."""
    outcome = run("jobs")

    assert outcome.stderr == "No jobs.\n"
    assert len(outcome.stdout.splitlines()) == 1


def test_many_batches_are_read_in_portions(run: Callable[..., Any], server: FakeServer) -> None:
    """A reply holds at most 1,000."""
    for _ in range(2500):
        server.list_batch()

    listed = json.loads(run("jobs", "-n", "2200", "--json").stdout)

    assert [batch["jids"] for batch in listed] == [str(jid) for jid in range(2500, 300, -1)]
    assert [request.limit for request in server.asked_batches] == [1000, 1000, 201]
    assert listed[0]["created"] == "1970-01-01T00:01:40+00:00"
    assert listed[0]["statuses"] == {"done": 1}


def test_each_job_can_have_a_row(run: Callable[..., Any], server: FakeServer) -> None:
    """With --each they are listed one by one."""
    server.next_jid = 2500

    rows = run("jobs", "--each", "-n", "3").stdout.splitlines()
    many = json.loads(run("jobs", "--each", "-n", "2200", "--json").stdout)

    assert [row.split("\t")[0] for row in rows[1:]] == ["2499", "2498", "2497"]
    assert [job["jid"] for job in many] == list(range(2499, 299, -1))


def test_filters_travel(run: Callable[..., Any], server: FakeServer) -> None:
    """Status, label, function and age."""
    filters = ("--status", "queued, error", "--label", "mine", "--since", "12h", "--before", "99")
    more = ("--env", "e", "--parent", "cron x", "--text", "t")
    run("jobs", *filters, "--function", "f", *more)
    run("jobs", *filters, "--each")

    for request in (*server.asked_batches, *server.asked_lists):
        assert (request.statuses, request.label) == (["queued", "error"], "mine")
        assert request.created_since is not None
        assert request.before == 99
    (asked,) = server.asked_batches
    assert (asked.function, asked.env, asked.parent, asked.text) == ("f", "e", "cron x", "t")


def test_bad_values_are_usage_errors(run: Callable[..., Any], server: FakeServer) -> None:
    """Nothing is sent."""
    for arguments in (
        ("--since", "12"),
        ("--status", "foo"),
        ("--each", "--function", "f"),
        ("--each", "--text", "x"),
    ):
        assert run("jobs", *arguments).exit_code == exits.USAGE
    assert server.sent == []
