"""Tests that are killed leave nothing: no process, no mount."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import guard
from tests.e2e import processes
from tests.polling import until

HELD = Path(__file__).with_name("held_stack.py")
GONE_S = 60.0


@pytest.mark.parametrize("stack", ["embedded", "hashicorp"])
def test_nothing_is_left_of_killed_tests(stack: str, tmp_path: Path) -> None:
    """After a SIGKILL of pytest, its stack, servers, slots and jobs end within a minute."""
    folder = tmp_path / "held"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--stack", stack]
    log = (tmp_path / "log").open("wb")
    tests = subprocess.Popen(
        [*command, f"--basetemp={folder}", str(HELD)],
        cwd=guard.ROOT,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    until(lambda: [*folder.glob("*/shared/ready")] or tests.poll() is not None, "a job runs", 120)
    before = processes.of_stack(folder)

    os.kill(tests.pid, signal.SIGKILL)
    tests.wait()

    assert len(before) > 3, (tmp_path / "log").read_text()
    until(lambda: not _left(folder), f"all is gone of\n{processes.described(before)}", GONE_S)
    log.close()


def _left(folder: Path) -> list[object]:
    return [*processes.of_stack(folder), *guard.mounts(folder)]
