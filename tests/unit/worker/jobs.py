"""Functions that the worker's tests run as jobs, and how to see that one has begun."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def echo(value: Any) -> Any:
    """Answer the argument."""
    return value


def pid() -> int:
    """Answer which process runs the job."""
    return os.getpid()


def wait_for(path: str) -> str:
    """Run until a file is there."""
    while not Path(path).exists():
        time.sleep(0.005)
    return "came"


def stuck_here(path: str) -> None:
    """Run for ever, after saying so by a file."""
    Path(path).touch()
    while True:
        time.sleep(0.01)


def deaf(path: str) -> None:
    """As `stuck_here`, deaf to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stuck_here(path)


def appears(path: Path) -> bool:
    """Wait until a job has made a file."""
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.005)
    return True
