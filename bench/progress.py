"""Progress of a long measure: one line on a terminal, otherwise a line from time to time."""

from __future__ import annotations

import sys
import time
from typing import Final

_EVERY_S: Final = 10.0
"""Interval without a terminal: the log of a soak should stay readable."""


class Progress:
    """Shows on stderr what is running; each text replaces the one before."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def tell(self, text: str) -> None:
        """Show what is running."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said_at >= _EVERY_S:
            self._said_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
