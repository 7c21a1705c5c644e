"""`picloud up` in the foreground, and programs of the same user, in a home of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.e2e import processes
from tests.e2e.command_line import PICLOUD
from tests.e2e.stacks import kill
from tests.e2e.terminal import Terminal
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a user who has never used PiCloud."""
    inherited = {name: value for name, value in os.environ.items() if "PICLOUD" not in name}
    return inherited | {"PICLOUD_CONFIG_DIR": str(home / "config"), "TERM": "dumb"}


@contextmanager
def up(home: Path, *more: str, data_name: str = "data") -> Iterator[Terminal]:
    """Run `picloud up` on a directory of a home; it serves inside of the `with` block."""
    data = home / data_name
    command = (PICLOUD, "up", "--data", str(data), "--port", "0", "--workers", "2", *more)
    terminal = Terminal(environment(home), home, *command)
    try:
        terminal.until_shown("Ctrl-C stops it")
        yield terminal
    finally:
        terminal.close()
        remaining = processes.of_stack(data)
        for process in remaining:
            kill(process)


def run(home: Path, *command: str) -> str:
    """Run a program of the same user to its end; return what it printed."""
    done = subprocess.run(
        command,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python(home: Path, source: str) -> str:
    """Run Python code of the same user to its end; return what it printed."""
    return run(home, sys.executable, "-c", f"import cloud\n{source}").strip()


def wait_until_gone(data: Path) -> None:
    """Wait until no process of a stack is left."""
    try:
        until(lambda: not processes.of_stack(data), "nothing is left", 30)
    except TimeoutError:
        pytest.fail(f"still there:\n{processes.described(processes.of_stack(data))}")
