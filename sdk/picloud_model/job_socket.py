"""The line between a job's process and the supervisor of its slot: where its socket is."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 64 * 1024
"""Longest message on a line; a message is JSON and ends with a newline."""


def address(name: str) -> str:
    """The address of a line's socket: a name that leaves no file behind, where the system can.

    >>> address("x").endswith("picloud-x")
    True
    """
    if sys.platform == "linux":
        return f"\0picloud-{name}"
    return str(Path(tempfile.gettempdir()) / f"picloud-{name}")
