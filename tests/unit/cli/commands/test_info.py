"""`picloud info`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture(autouse=True)
def jobs(server: FakeServer) -> None:
    """Two jobs that have ended."""
    server.infos = {
        1: {"status": "done", "stdout": "a\nb\n", "stderr": "", "runtime": 1.5},
        2: {"status": "error", "stdout": "c\n", "stderr": "oh\n", "runtime": None},
    }


def test_info_shows_the_default_keys(run: Callable[..., Any]) -> None:
    """Each key with its value, text of several lines below it, nothing for what is empty."""
    outcome = run("info", "1")

    assert outcome.exit_code == exits.OK
    assert outcome.stdout == "status: done\nstdout:\na\nb\nruntime: 1.50 s\n"


def test_info_as_the_documentation_writes_it(run: Callable[..., Any], server: FakeServer) -> None:
    """The promise: "$ picloud info -o stdout,memory.failcnt,cputime.user jid"."""
    run("info", "-o", "stdout,memory.failcnt,cputime.user", "1")

    assert server.asked_infos[-1].keys == ["stdout", "memory.failcnt", "cputime.user"]


def test_several_jobs_are_a_table(run: Callable[..., Any]) -> None:
    """As long as no value has several lines."""
    outcome = run("info", "1-2", "-o", "status,runtime")

    assert outcome.stdout == "jid\tstatus\truntime\n1\tdone\t1.50 s\n2\terror\t\n"
    assert run("info", "1-2").stdout.startswith("Info for jid 1:\nstatus: done\nstdout:\na\n")


def test_info_as_json(run: Callable[..., Any]) -> None:
    """One line, for programs."""
    outcome = run("info", "2", "-o", "stdout,runtime", "--json")

    assert json.loads(outcome.stdout) == [{"jid": 2, "stdout": "c\n", "runtime": None}]


def test_a_wrong_key_is_one_line(run: Callable[..., Any]) -> None:
    """With the one that was meant."""
    outcome = run("info", "1", "-o", "sdtout")

    assert outcome.exit_code == exits.USAGE
    assert "There is no info key 'sdtout'; did you mean stdout?" in outcome.stderr
    assert outcome.stdout == ""


def test_a_key_among_the_jids_says_how_it_is_printed(run: Callable[..., Any]) -> None:
    """A misspelt one, too."""
    outcome = run("info", "1", "stdot")

    assert outcome.exit_code == exits.USAGE
    assert "'stdot' is not a valid job id; to print stdout, write -o stdout." in outcome.stderr


def test_numbers_have_units(run: Callable[..., Any], server: FakeServer) -> None:
    """In text; JSON has seconds and bytes."""
    server.infos[1] |= {"memory.max_usage": 22_749_184, "cputime.user": 0.0014890000000000007}
    keys = "memory.max_usage,cputime.user"

    assert (
        run("info", "1", "-o", keys).stdout == "memory.max_usage: 22.7 MB\ncputime.user: 1.49 ms\n"
    )
    assert json.loads(run("info", "1", "-o", keys, "--json").stdout) == [
        {"jid": 1, "memory.max_usage": 22_749_184, "cputime.user": 0.0014890000000000007}
    ]


def test_a_group_is_one_line(run: Callable[..., Any], server: FakeServer) -> None:
    """Its members have units too; what was requested by name is shown even if it is empty."""
    server.infos[1] |= {"cputime.user": 1.0, "cputime.system": 0.5, "memory.max_usage": 2_000_000}

    assert run("info", "1", "-o", "cputime,label,memory").stdout == (
        "cputime: user 1.00 s, system 500 ms\nlabel:\nmemory: max_usage 2.0 MB\n"
    )
