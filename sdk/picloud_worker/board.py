"""The board: memory shared by a supervisor and its children, where each notes the job it begins.

Writing and reading it costs no system call; a child does it for every job.
"""

from __future__ import annotations

import mmap
from typing import Final

import msgspec

CELLS: Final = 64
"""Most children at once."""

_FIELDS: Final = 2
_POSITION_BITS: Final = 32


class Begun(msgspec.Struct, frozen=True):
    """The job a child began last, and when (seconds since the epoch)."""

    generation: int
    position: int
    started_at: float


class Board:
    """One cell a child.

    >>> board = Board()
    >>> board.begun(3) is None
    True
    >>> board.begin(3, 7, 0, 12.5)
    >>> board.begun(3)
    Begun(generation=7, position=0, started_at=12.5)
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, CELLS * _FIELDS * 8))
        self._job = memory.cast("Q")
        self._started = memory.cast("d")

    def begin(self, cell: int, generation: int, position: int, now: float) -> None:
        """Note that a child begins a job."""
        self._started[cell * _FIELDS + 1] = now
        self._job[cell * _FIELDS] = generation << _POSITION_BITS | position + 1

    def begun(self, cell: int) -> Begun | None:
        """The job a child began last, or None when it has not begun any."""
        job = self._job[cell * _FIELDS]
        if not job:
            return None
        generation, position = divmod(job, 1 << _POSITION_BITS)
        return Begun(generation, position - 1, self._started[cell * _FIELDS + 1])

    def clear(self, cell: int) -> None:
        """Make a cell ready for another child."""
        self._job[cell * _FIELDS] = 0
