"""`picloud jobs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from picloud import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.sdk.fake_server import FakeServer


@pytest.fixture(autouse=True)
def many_jobs(server: FakeServer) -> None:
    """2,499 jobs."""
    server.next_jid = 2500


def test_jobs_are_a_table(run: Callable[..., Any]) -> None:
    """Newest first, at most as many as requested."""
    rows = run("jobs", "-n", "3").stdout.splitlines()

    assert rows[0] == "jid\tstatus\tfunction\tlabel\tcreated\truntime"
    assert [row.split("\t")[0] for row in rows[1:]] == ["2499", "2498", "2497"]
    assert rows[1].split("\t")[-1] == "1.500 s"


def test_many_jobs_are_read_in_portions(run: Callable[..., Any], server: FakeServer) -> None:
    """A reply holds at most 1,000."""
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
    """Without a unit it is a usage error."""
    assert run("jobs", "--since", "12").exit_code == exits.USAGE
