"""The check before a server starts: what it finds, and that what it loads does not stay."""

import sys
from pathlib import Path

from picloud_api.server.start_check import StartProblem, start_problem
from picloud_api.settings import read

from tests.unit.api.absent_servers import SERVERS
from tests.unit.api.api_harness import ApiHarness


def test_nothing_is_in_the_way(tmp_path: Path) -> None:
    """A directory of its own is all that the embedded stack needs."""
    assert start_problem(read(["--data", str(tmp_path)], {})) is None


async def test_a_directory_in_use_stays_in_use(api: ApiHarness) -> None:
    """The problem is reported in one sentence."""
    problem = start_problem(read(["--data", str(api.root)], {}))

    assert isinstance(problem, StartProblem)
    assert "another" in problem.message
    assert problem.passes, "the other server may end"


def test_servers_that_are_away_may_come_back(tmp_path: Path) -> None:
    """Their clients are loaded by the check only."""
    arguments = ["--data", str(tmp_path), "--stack", "hashicorp"]
    before = set(sys.modules)

    problem = start_problem(read(arguments, SERVERS.environment()))

    assert isinstance(problem, StartProblem)
    assert "Consul" in problem.message
    assert problem.passes
    assert set(sys.modules) == before
