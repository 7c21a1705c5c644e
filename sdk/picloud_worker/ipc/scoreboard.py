"""The board: memory shared by a supervisor and its children, where each notes the job it begins.

Writing and reading it costs no system call; a child does it for every job.
"""

from __future__ import annotations

import mmap
from typing import Final

import msgspec

CELLS: Final = 64
"""Most children at once."""

_FIELDS: Final = 5
"""Job, time of its begin, process id, CPU in user space and in the kernel before it."""
_POSITION_BITS: Final = 32


class Begun(msgspec.Struct, frozen=True):
    """The job a child began last, and when (seconds since the epoch).

    `user_s` and `system_s` are the CPU the child had used before it.
    """

    generation: int
    position: int
    started_at: float
    user_s: float = 0.0
    system_s: float = 0.0


class Board:
    """One cell a child.

    >>> board = Board()
    >>> board.begun(3) is None
    True
    >>> board.begin(3, 7, 0, 12.5)
    >>> board.begun(3)
    Begun(generation=7, position=0, started_at=12.5, user_s=0.0, system_s=0.0)
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, CELLS * _FIELDS * 8))
        self._job = memory.cast("Q")
        self._started = memory.cast("d")

    def begin(
        self,
        cell: int,
        generation: int,
        position: int,
        now: float,
        cpu: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Note that a child begins a job; `cpu` is what it used before: user space, kernel."""
        base = cell * _FIELDS
        self._started[base + 1] = now
        self._started[base + 3], self._started[base + 4] = cpu
        self._job[cell * _FIELDS] = generation << _POSITION_BITS | position + 1

    def enter(self, cell: int, pid: int) -> None:
        """Note which process a child is."""
        self._job[cell * _FIELDS + 2] = pid

    def pid(self, cell: int) -> int:
        """The process id of a child; 0 as long as it is not known."""
        return self._job[cell * _FIELDS + 2]

    def begun(self, cell: int) -> Begun | None:
        """The job a child began last, or None when it has not begun any."""
        job = self._job[cell * _FIELDS]
        if not job:
            return None
        generation, position = divmod(job, 1 << _POSITION_BITS)
        started_at, user_s, system_s = (self._started[cell * _FIELDS + at] for at in (1, 3, 4))
        return Begun(generation, position - 1, started_at, user_s, system_s)

    def clear(self, cell: int) -> None:
        """Make a cell ready for another child."""
        self._job[cell * _FIELDS] = 0
        self._job[cell * _FIELDS + 2] = 0
