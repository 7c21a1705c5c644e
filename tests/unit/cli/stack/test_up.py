"""`picloud up`, as a real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from cloud._config import profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PICLOUD = [sys.executable, "-c", "from picloud.app import main; main()"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for data and profiles; nothing of the environment leads elsewhere."""
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    for name in ("URL", "API_KEY", "PROFILE"):
        monkeypatch.delenv(f"PICLOUD_{name}", raising=False)
    return tmp_path


@contextmanager
def _up(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A `picloud up` that has finished its start, and what it has printed."""
    command = [*PICLOUD, "up", "--data", str(home / "data"), "--port", "0", "--workers", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = ""
        while "Ctrl-C stops it" not in printed and (line := process.stdout.readline()):
            printed += line
        try:
            yield process, printed
        finally:
            process.kill()


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PICLOUD, *arguments], capture_output=True, text=True, check=False)


def test_up_writes_the_profile_that_everything_uses(home: Path) -> None:
    """Afterwards `import cloud` and `picloud` need no settings."""
    submit = "import cloud; print(cloud.call(pow, 2, 10))"
    with _up(home) as (_, printed):
        jid = subprocess.run(
            [sys.executable, "-c", submit], capture_output=True, text=True, check=True
        ).stdout.strip()
        joined = _run("join", jid, "--timeout", "60")
        result = _run("result", jid)
        status = _run("status", jid, "--json")

    found = profile.read(home / "profiles.toml").chosen("local")
    assert found is not None
    assert found.url in printed
    assert found.key not in printed
    assert (joined.returncode, joined.stderr) == (0, "")
    assert result.stdout == "1024\n"
    assert json.loads(status.stdout) == [{"jid": int(jid), "status": "done"}]


def test_ctrl_c_stops_everything_in_time(home: Path) -> None:
    """Soon, with status 0, and the server answers no more."""
    with _up(home) as (process, _):
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, printed = process.communicate(timeout=30)
        seconds = time.monotonic() - started
        after = _run("status", "1")

    assert process.returncode == 0
    assert printed == "Stopping; press Ctrl-C again to stop at once.\n"
    assert seconds < 20
    assert after.returncode == 1
    assert "No PiCloud server answers" in after.stderr


def test_a_second_up_on_the_same_data_is_refused(home: Path) -> None:
    """In one line, and the first one goes on."""
    with _up(home):
        second = _run("up", "--data", str(home / "data"), "--port", "0")
        killed = _run("kill", "--all", "--json")

    assert second.returncode == 1
    assert second.stdout == ""
    assert len(second.stderr.splitlines()) == 1
    assert json.loads(killed.stdout) == {"killed": 0}


def test_a_place_that_cannot_be_used_is_named(home: Path) -> None:
    """A file where the data directory should be."""
    (home / "data").write_text("")

    outcome = _run("up", "--data", str(home / "data" / "below"))

    assert outcome.returncode == 1
    assert outcome.stderr.startswith(f"error: Cannot use {home / 'data' / 'below'} for data")
