"""How much of a file has been sent or received."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec

from cloud._display.bar import bar, drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._display.bar import Bar

DRAW_S: Final = 0.1
"""A bar is drawn no more often."""
_MEGABYTE: Final = 1_000_000


class Transferred(msgspec.Struct, frozen=True, kw_only=True):
    """How many bytes of a file have arrived, and in how many seconds."""

    done: int
    total: int
    elapsed_s: float

    def line(self, columns: int | None = None) -> str:
        """Return a bar, the sizes and the speed.

        >>> Transferred(done=5_000_000, total=20_000_000, elapsed_s=2.0).line()
        '███████░░░░░░░░░░░░░░░░░░░░░░░  5.0/20.0 MB  2.5 MB/s'
        """
        sizes = f"{self.done / _MEGABYTE:,.1f}/{self.total / _MEGABYTE:,.1f} MB"
        speed = self.done / _MEGABYTE / max(self.elapsed_s, 0.001)
        return drawn(self.done / max(1, self.total), f"{sizes}  {speed:,.1f} MB/s", columns)


class TransferDisplay:
    """Counts the bytes of one file, which threads may transfer together.

    Args:
        total: Its size.
        bar: Shows how far it is.
        clock: Monotonic seconds.
    """

    def __init__(self, total: int, bar: Bar, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._bar = bar
        self._clock = clock
        self._done = 0
        self._started = self._drawn_at = clock()
        self._lock = Lock()

    def advance(self, size: int) -> None:
        """Count bytes that have arrived."""
        with self._lock:
            self._done += size
            now = self._clock()
            if now - self._drawn_at >= DRAW_S:
                self._drawn_at = now
                elapsed_s = now - self._started
                self._bar.show(Transferred(done=self._done, total=self._total, elapsed_s=elapsed_s))


@contextmanager
def transfer_shown(total: int) -> Iterator[Callable[[int], None]]:
    """Show how many of so many bytes have arrived, on terminals; yield what counts them."""
    shown = bar()
    if shown is None:
        yield lambda _: None
        return
    try:
        yield TransferDisplay(total, shown).advance
    finally:
        shown.hide()
