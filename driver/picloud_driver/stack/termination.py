"""Ending a process of a stack, by force if necessary."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from picloud_driver.stack.faults import StackFault

if TYPE_CHECKING:
    from picloud_driver.process import Process

TERM_S: Final = 10.0
"""How long a process may take to end after SIGTERM."""
KILL_S: Final = 5.0
"""How long a process may take to end after SIGKILL."""
_POLL_S: Final = 0.05


def terminate(process: Process, term_s: float = TERM_S, kill_s: float = KILL_S) -> None:
    """Send a process SIGTERM, and kill what is left of its session if it does not end.

    Raises:
        StackFault: When the process does not end although it was killed.
    """
    try:
        # Not its group: a server that has workers ends them in its own order.
        os.kill(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    if not _ends_within(process, term_s):
        process.destroy()
        if not _ends_within(process, kill_s):
            raise StackFault(f"Process {process.pid} does not end though killed.")


def _ends_within(process: Process, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
