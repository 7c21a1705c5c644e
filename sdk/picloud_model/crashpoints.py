"""Crash points: named points at which a test can kill this process as `kill -9` would."""

from __future__ import annotations

import os
import signal

_armed: dict[str, int] = {}


def arm(name: str) -> None:
    """Kill the process when it passes the point `name`; "" disarms all points.

    `name:3` lets it pass twice and kills it the third time.
    """
    point, _, times = name.partition(":")
    _armed.clear()
    if point:
        _armed[point] = int(times or 1)


def crashpoint(name: str) -> None:
    """Kill the process here if a test has armed this point."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
