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
    """It names the key that was meant."""
    outcome = run("info", "1", "-o", "sdtout")

    assert outcome.exit_code == exits.OTHER
    assert outcome.stderr.startswith("There is no info 'sdtout'; did you mean stdout?")
    assert outcome.stdout == ""
