"""Functions that the worker's tests run as jobs, and a way to see that one has started."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.polling import until


def echo(value: Any) -> Any:
    """Return the argument."""
    return value


def pid() -> int:
    """Return the id of the process that runs the job."""
    return os.getpid()


def wait_for(path: str) -> str:
    """Run until a file exists."""
    while not Path(path).exists():
        time.sleep(0.005)
    return "came"


def run_forever(path: str) -> None:
    """Touch a file and then run forever."""
    Path(path).touch()
    while True:
        time.sleep(0.01)


def block_sigterm(path: str) -> None:
    """As `run_forever`, but ignoring SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    run_forever(path)


def appears(path: Path) -> bool:
    """Wait until a job has made a file."""
    return until(path.exists, f"the file {path.name}")
