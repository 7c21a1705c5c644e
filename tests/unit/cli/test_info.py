"""info, logs, jobs and delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits
from picloud.commands import logs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture(autouse=True)
def jobs(server: FakeServer) -> None:
    """Some jobs that left something."""
    server.infos = {
        1: {"status": "done", "stdout": "a\nb\n", "stderr": "", "runtime": 1.5},
        2: {"status": "error", "stdout": "c\n", "stderr": "oh\n", "runtime": None},
    }
    server.next_jid = 2500


def test_info_shows_the_default_keys(run: Callable[..., Any]) -> None:
    """Each key with its value, text of several lines below it."""
    outcome = run("info", "1")

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == "status: done\nstdout:\na\nb\nstderr:\nruntime: 1.5\n"


def test_info_as_the_documentation_writes_it(run: Callable[..., Any], server: FakeServer) -> None:
    """The promise: "$ picloud info -o stdout,memory.failcnt,cputime.user jid"."""
    run("info", "-o", "stdout,memory.failcnt,cputime.user", "1")

    assert server.asked_infos[-1].keys == ["stdout", "memory.failcnt", "cputime.user"]


def test_several_jobs_are_a_table(run: Callable[..., Any]) -> None:
    """As long as no value has several lines."""
    outcome = run("info", "1-2", "-o", "status,runtime")

    assert outcome.stdout == "jid\tstatus\truntime\n1\tdone\t1.5\n2\terror\t\n"
    assert run("info", "1-2").stdout.startswith("Info for jid 1:\nstatus: done\nstdout:\na\n")


def test_info_as_json(run: Callable[..., Any]) -> None:
    """One line, for programs."""
    outcome = run("info", "2", "-o", "stdout,runtime", "--json")

    assert json.loads(outcome.stdout) == [{"jid": 2, "stdout": "c\n", "runtime": None}]


def test_a_wrong_key_is_one_line(run: Callable[..., Any]) -> None:
    """With those there are."""
    outcome = run("info", "1", "-o", "sdtout")

    assert outcome.exit_code == exits.OTHER
    assert outcome.stderr.startswith("There is no info 'sdtout'; there are status, stdout")
    assert outcome.stdout == ""


def test_logs_keep_the_streams_apart(run: Callable[..., Any]) -> None:
    """Stdout on stdout, stderr on stderr, not a character more."""
    outcome = run("logs", "2")

    assert (outcome.stdout, outcome.stderr) == ("c\n", "oh\n")


def test_following_goes_on_until_the_end(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """What comes in between is shown once, the last line too."""
    job = server.infos[1] = {"status": "queued", "stdout": "", "stderr": ""}
    steps = iter([("queued", ""), ("processing", "erste "), ("processing", "Zeile ü\n"),
                  ("done", ""), ("done", "the last")])  # fmt: skip

    def go_on(_: int) -> None:
        job["status"], more = next(steps, ("done", ""))
        job["stdout"] += more

    server.on_info = go_on

    logs.follow_streams(1, ["stdout", "stderr"], poll_s=0)

    assert capsys.readouterr().out == "erste Zeile ü\nthe last"


def test_jobs_are_a_table(run: Callable[..., Any]) -> None:
    """Newest first, as many as were asked for."""
    rows = run("jobs", "-n", "3").stdout.splitlines()

    assert rows[0] == "jid\tstatus\tfunction\tlabel\tcreated\truntime"
    assert [row.split("\t")[0] for row in rows[1:]] == ["2499", "2498", "2497"]
    assert rows[1].split("\t")[-1] == "1.500 s"


def test_many_jobs_are_read_in_portions(run: Callable[..., Any], server: FakeServer) -> None:
    """Nobody has to know how many one answer holds."""
    outcome = run("jobs", "-n", "2200", "--json")

    assert [job["jid"] for job in json.loads(outcome.stdout)] == list(range(2499, 299, -1))
    assert [request.limit for request in server.asked_lists] == [1000, 1000, 200]


def test_filters_travel(run: Callable[..., Any], server: FakeServer) -> None:
    """Status, label and age."""
    run("jobs", "--status", "queued, error", "--label", "mine", "--since", "12h", "--before", "99")

    (request,) = {json.dumps(each.statuses): each for each in server.asked_lists}.values()
    assert (request.statuses, request.label) == (["queued", "error"], "mine")
    assert request.created_since is not None


def test_an_age_has_a_unit(run: Callable[..., Any]) -> None:
    """Otherwise the command line makes no sense."""
    assert run("jobs", "--since", "12").exit_code == exits.USAGE


def test_delete_tells_how_many(run: Callable[..., Any], server: FakeServer) -> None:
    """On standard error; as JSON where that is asked for."""
    outcome = run("delete", "1,5-6")

    assert (outcome.stdout, outcome.stderr) == ("", "3 jobs deleted.\n")
    assert server.deleted == [(1, 1), (5, 6)]
    assert json.loads(run("delete", "1", "--json").stdout) == {"deleted": 1}
