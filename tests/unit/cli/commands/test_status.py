"""`picloud status`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Callable


def test_status_is_a_row_a_job(run: Callable[..., Any], server: FakeServer) -> None:
    """In a pipe: a header, then jid and status with a tab between."""
    client_for(server).map(abs, [1, 2, 3])
    server.done(2, None)

    outcome = run("status", "3,1-2")

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == "jid\tstatus\n3\tqueued\n1\tqueued\n2\tdone\n"
    assert outcome.stderr == ""


def test_the_jobs_of_a_map_are_counted(run: Callable[..., Any], server: FakeServer) -> None:
    """A row for each status, with the jids that have it; jids may be words of their own."""
    client_for(server).map(abs, range(25))
    server.done(2, None)
    server.done(5, None)

    for words in (("1-25",), ("1", "2", "3-25")):
        rows = run("status", *words).stdout.splitlines()
        assert rows == ["status\tjobs\tjids", "queued\t23\t1,3-4,6-25", "done\t2\t2,5"]
    assert len(run("status", "1-25", "--each").stdout.splitlines()) == 26
    assert len(run("status", "1-20").stdout.splitlines()) == 21


def test_status_as_json(run: Callable[..., Any], server: FakeServer) -> None:
    """One line of JSON, for programs."""
    client_for(server).call(abs, 1)

    assert json.loads(run("status", "1", "--json").stdout) == [{"jid": 1, "status": "queued"}]


def test_an_unknown_job_exits_with_1(run: Callable[..., Any], server: FakeServer) -> None:
    """The server's sentence, in one line."""
    outcome = run("status", "9")

    assert outcome.exit_code == exits.OTHER
    assert outcome.stderr == "error: There is no job 9 in your account.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "x"),
        ("status", "2-1"),
        ("status", "0"),
        ("status", "1,"),
        ("status", "1-9999999999"),
        ("nothing",),
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
