"""Progress: where a long measure is, on a terminal in one line, elsewhere a line now and then."""

from __future__ import annotations

import sys
import time
from typing import Final

_EVERY_S: Final = 10.0
"""How often where nobody watches: a log of a soak is to be read, too."""


class Progress:
    """Tells on stderr what is under way; a text replaces the one before."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def tell(self, text: str) -> None:
        """Say what is under way."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._said_at >= _EVERY_S:
            self._said_at = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Nothing is under way any more."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
