"""The job of the fault tests: it records each of its executions in a file."""

from __future__ import annotations

import os
import time
from pathlib import Path


def work(number: int, folder: str, seconds: float = 0.0) -> tuple[int, str]:
    """Write down that this execution began and that it ended.

    Returns:
        The square of the number, and the name of this execution: no two have the same.
    """
    name = f"{number}-{os.getpid()}-{time.monotonic_ns()}"
    with Path(folder, name).open("x", buffering=1) as trace:
        trace.write("began\n")
        if seconds:
            time.sleep(seconds)
        trace.write("ended\n")
    return number * number, name
