"""The addresses of the sockets of a job: to its supervisor, and from shells opened in it."""

from __future__ import annotations

import sys
from typing import Final

MOST_BYTES: Final = 64 * 1024
"""Longest message on a job socket; a message is JSON and ends with a newline."""


def shells_name(name: str) -> str:
    """Return the name of the socket that shell servers keep a connection to, if a job listens.

    >>> shells_name("x")
    'x-shells'
    """
    return f"{name}-shells"


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
