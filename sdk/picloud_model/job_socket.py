"""The address of the job socket, between a job's process and the supervisor of its slot."""

from __future__ import annotations

import sys
from typing import Final

MOST_BYTES: Final = 64 * 1024
"""Longest message on a job socket; a message is JSON and ends with a newline."""


def address(name: str) -> str:
    """Return the address of a job socket, one that leaves no file behind if the system can.

    >>> address("x").endswith("picloud-x")
    True
    """
    if sys.platform == "linux":
        return f"\0picloud-{name}"
    import tempfile  # noqa: PLC0415 - only systems without abstract sockets need it
    from pathlib import Path  # noqa: PLC0415

    return str(Path(tempfile.gettempdir()) / f"picloud-{name}")
