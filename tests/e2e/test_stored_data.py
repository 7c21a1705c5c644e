"""Data that an earlier version stored: today's server opens it and finishes its jobs.

`tests/e2e/stored/make.py` makes it. Closures are bytecode, which other Python versions cannot run:
the test needs the version that made the data.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cloud import CloudException
from cloud.shell import CommandFailed

from tests.e2e.conftest import end
from tests.e2e.stacks import EmbeddedStack, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

FOLDER: Final = Path(__file__).with_name("stored")
WAIT_S: Final = 60.0
LARGE: Final = 400_000
FINISHED: Final[dict[str, Any]] = {
    "builtin": 1024,
    "keyword": 255,
    "closure": 42,
    "map": [1, 4, 9],
    "wide map": [*range(150, 0, -1)],
    "large result": bytes(LARGE),
    "large argument": LARGE,
    "printed": None,
    "shell": "hello, world\n",
    "shell map": ["one\n", "two\n"],
}
"""Results of the jobs that had finished, by their kind."""
UNFINISHED: Final[dict[str, Any]] = {
    "running": None,
    "queued": 27,
    "queued keyword": 1295,
    "queued map": [16, 25],
    "queued large argument": LARGE + 1,
    "queued shell": "file\n",
    "queued shell map": ["three\n", "four\n"],
    "after queued": 7,
    "after running": [8, 9],
    "after finished": 10,
    "despite failed": 12,
}
"""Results of the jobs that were unfinished, by their kind."""


class Stored:
    """A running server on a copy of a stored directory, with the jids of its jobs."""

    def __init__(self, version: str, root: Path) -> None:
        made = json.loads((FOLDER / f"{version}.json").read_text())
        self.python = tuple(made["python"])
        self.key: str = made["key"]
        self.jids: dict[str, dict[str, Any]] = made["jids"]
        with tarfile.open(FOLDER / f"{version}.tar.xz") as archive:
            archive.extractall(root, filter="tar")  # the other filter changes modes
        self.stack = EmbeddedStack(root)
        self.stack.start(Options(slots=2))


@pytest.fixture(scope="module", params=["44d3491"])
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    """The data of a version, opened by today's server."""
    opened = Stored(request.param, tmp_path_factory.mktemp("stored"))
    if opened.python != sys.version_info[:2]:
        pytest.skip(f"the stored closures are bytecode of Python {opened.python}")
    yield opened
    end(opened.stack)
    assert "Traceback" not in opened.stack.faults(), opened.stack.faults()


@pytest.fixture(scope="module")
def client(stored: Stored) -> Iterator[Client]:
    """A client with the key that was made with the data."""
    with contextlib.closing(stored.stack.client(stored.key)) as opened:
        yield opened


@pytest.mark.parametrize("where", ["sealed", "finished"])
@pytest.mark.parametrize("kind", FINISHED)
def test_a_stored_result_is_read(stored: Stored, client: Client, where: str, kind: str) -> None:
    """Results that an earlier version stored, or sealed, are read."""
    jid = stored.jids[where][kind]

    assert client.result(jid, WAIT_S) == FINISHED[kind]


@pytest.mark.parametrize("kind", UNFINISHED)
def test_a_stored_job_comes_to_its_end(stored: Stored, client: Client, kind: str) -> None:
    """Jobs that ran, were queued, or waited for others when the server was killed, finish."""
    jid = stored.jids["unfinished"][kind]

    assert client.result(jid, WAIT_S) == UNFINISHED[kind]


def test_a_stored_closure_runs(stored: Stored, client: Client) -> None:
    """A function that was stored by value runs, with its closure."""
    jids = stored.jids["unfinished"]

    assert client.result(jids["queued closure"], WAIT_S) == jids["running"]


@pytest.mark.parametrize("where", ["sealed", "finished"])
def test_a_stored_failure_is_raised(stored: Stored, client: Client, where: str) -> None:
    """A failed job of an earlier version raises its error, with its traceback."""
    with pytest.raises(CloudException, match="no bread today") as failed:
        client.result(stored.jids[where]["failed"], WAIT_S)
    with pytest.raises(CloudException, match="nonzero return code 3") as failed_shell:
        client.result(stored.jids[where]["failed shell"], WAIT_S)

    assert isinstance(failed.value.__cause__, ValueError)
    assert "in fails" in str(failed.value.value)
    assert isinstance(failed_shell.value.__cause__, CommandFailed)
    assert failed_shell.value.__cause__.exit_code == 3
    assert "broken" in str(failed_shell.value.value)


@pytest.mark.parametrize("where", ["sealed", "finished"])
def test_a_stored_job_is_described(stored: Stored, client: Client, where: str) -> None:
    """Labels, output and states of stored jobs are shown as before; a deleted job stays deleted."""
    jids = stored.jids[where]

    info = client.info([jids["builtin"], jids["printed"]], ["label", "stdout", "status"])

    assert info[jids["builtin"]]["label"] == "powers"
    assert info[jids["printed"]]["stdout"] == "hello\n"
    assert client.status(jids["wide map"]) == ["done"] * 150
    with pytest.raises(CloudException, match="deleted"):
        client.result(jids["deleted"], WAIT_S)


def test_a_stored_kill_and_a_stored_dependency_are_kept(stored: Stored, client: Client) -> None:
    """A job that was killed stays killed; one that waits for a failed job never runs."""
    jids = stored.jids["unfinished"]
    client.join(jids["running"], WAIT_S)

    client.join(jids["after failed"], WAIT_S, ignore_errors=True)

    assert client.status([jids["killed"], jids["after failed"]]) == ["killed", "stalled"]


def test_new_jobs_join_the_stored_ones(stored: Stored, client: Client) -> None:
    """Jids continue after the last stored one, and a new job may depend on a stored one."""
    jid = client.call(abs, -1, _depends_on=stored.jids["sealed"]["map"])

    assert jid > stored.jids["unfinished"]["despite failed"]
    assert client.result(jid, WAIT_S) == 1
