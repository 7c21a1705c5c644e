"""Leftovers: threads and processes that still run are found, and described in words."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import subprocess, sys, threading
from picloud_worker.restore.leftovers import FORK_S, alone, leftovers
{leave}
print(alone(), alone(FORK_S / 2), leftovers(), flush=True)
{end}
"""


def found(leave: str, end: str = "") -> str:
    """Return what a program of its own finds after it left something running."""
    code = PROGRAM.format(leave=leave, end=end)
    return subprocess.check_output([sys.executable, "-c", code], text=True, timeout=30).strip()


def test_an_interpreter_alone_has_no_leftovers() -> None:
    """Nothing runs besides the main thread."""
    assert found("") == "True True []"


def test_a_thread_is_named() -> None:
    """A thread that goes on counts at once, however quick the job was."""
    leave = "event = threading.Event()\nthreading.Thread(target=event.wait, name='poller').start()"

    assert found(leave, "event.set()") == "False False [\"thread 'poller'\"]"


def test_a_process_is_named_by_its_command() -> None:
    """After a job quicker than a fork it is not looked for."""
    leave = "process = subprocess.Popen(['sleep', '60'])"

    words = found(leave, "process.kill()")

    assert words.startswith("False True ['process ")
    assert words.endswith("(sleep 60)']")


@pytest.mark.parametrize(
    "leave",
    [
        "process = subprocess.Popen(['true']); import time; time.sleep(0.2)",
        "thread = threading.Thread(target=lambda: None); thread.start()",
        "from multiprocessing import resource_tracker; resource_tracker.ensure_running()",
    ],
)
def test_what_ends_by_itself_is_no_leftover(leave: str) -> None:
    """A finished process, a thread that is about to end, and what tracks resources."""
    assert found(leave).endswith(" []")
