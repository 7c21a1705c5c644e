"""`picloud admin doctor` on the embedded stack, with a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from picloud.stack.doctor import version_finding

if TYPE_CHECKING:
    from collections.abc import Iterator

PICLOUD = str(Path(sys.executable).with_name("picloud"))


class Home:
    """A user with a data directory, and profiles of a test's own."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        inherited = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
        self.environment = inherited | {"PICLOUD_CONFIG_DIR": str(root)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `picloud` to its end."""
        return subprocess.run(
            [PICLOUD, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def doctor(self, *more: str) -> dict[str, Any]:
        """Return what `picloud admin doctor` has found, by check, and its status."""
        done = self.run("admin", "doctor", "--data", str(self.data), "--json", *more)
        rows = json.loads(done.stdout)
        return {"status": done.returncode} | {row["check"]: row for row in rows}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A server that runs."""
    made = Home(tmp_path_factory.mktemp("doctor"))
    options = ("--data", str(made.data), "--port", "0", "--workers", "1", "--detach")
    assert made.run("up", *options).returncode == 0
    yield made
    made.run("down", "--data", str(made.data))


def test_everything_works(home: Home) -> None:
    """A line for each part, and a job that runs; the exit code is 0."""
    found = home.doctor("--job")

    assert found.pop("status") == 0
    assert {row["ok"] for row in found.values()} == {True}
    ports = ("state", "blobs", "queues", "secrets", "scheduler")
    assert [*found] == ["data", "keys", "disk", "server", "version", *ports, "job", "profile"]
    assert home.run("jobs").stdout.count("\n") == 1, "its own job was deleted"


def test_lines_for_people(home: Home) -> None:
    """Data go to standard output, and so does the part that they belong to."""
    done = home.run("admin", "doctor", "--data", str(home.data))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"PiCloud in {home.data}"
    assert "\n  ok       keys          no other user may read them\n" in done.stdout


def test_a_server_that_does_not_answer_is_named(home: Home) -> None:
    """With what to do; the profile names the same server."""
    pid = json.loads((home.data / "up.json").read_text())["pid"]
    os.kill(pid, signal.SIGKILL)

    found = home.doctor()

    assert found["status"] == 1
    assert not found["server"]["ok"]
    assert "no server answers at" in found["profile"]["detail"]


def test_a_directory_without_data_is_no_success(home: Home, tmp_path: Path) -> None:
    """The command says which directory to name."""
    done = home.run("admin", "doctor", "--data", str(tmp_path))

    assert done.returncode == 1
    assert "no data of PiCloud: name the directory that picloud up uses" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_server_elsewhere_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    """Without --data the usual directories are checked; if there are none, the command says so."""
    user = Home(tmp_path)
    user.environment["XDG_DATA_HOME"] = str(tmp_path)

    done = user.run("admin", "doctor")

    assert done.stdout.startswith("Programs of this user\n")
    assert done.stderr.startswith(
        f"{tmp_path / 'picloud'} has no data of a server, so none was checked; --data DIR names "
    )


def test_a_server_of_another_version_has_to_be_restarted() -> None:
    """After an upgrade the old server goes on until it is restarted."""
    assert version_finding("0.0.9", "0.1.0").detail == (
        "the server runs 0.0.9, but 0.1.0 is installed: run picloud down, then picloud up."
    )
    assert version_finding("0.1.0", "0.1.0").ok
