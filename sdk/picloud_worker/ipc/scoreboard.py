"""The scoreboard, as in Apache: shared memory in which each child records the job it starts.

Reading and writing it takes no system call, for a child writes to it for every job.
"""

from __future__ import annotations

import mmap
from typing import Final

import msgspec

MOST_CHILDREN: Final = 64
"""The most children at once."""

_FIELDS: Final = 6
"""The job, its start time, the process id, CPU in user space and in the kernel before the job, and
whether the job is being terminated."""
_POSITION_BITS: Final = 32


class StartedJob(msgspec.Struct, frozen=True):
    """The job that a child started last, and when (seconds since the epoch).

    `user_s` and `system_s` are the CPU that the child had used before.
    """

    generation: int
    position: int
    started_at: float
    user_s: float = 0.0
    system_s: float = 0.0


class Scoreboard:
    """Shared memory with a row for each child.

    >>> scoreboard = Scoreboard()
    >>> scoreboard.started_job(3) is None
    True
    >>> scoreboard.begin(3, 7, 0, 12.5)
    >>> scoreboard.started_job(3)
    StartedJob(generation=7, position=0, started_at=12.5, user_s=0.0, system_s=0.0)
    """

    def __init__(self) -> None:
        memory = memoryview(mmap.mmap(-1, MOST_CHILDREN * _FIELDS * 8))
        self._job = memory.cast("Q")
        self._started = memory.cast("d")

    def begin(
        self,
        child_index: int,
        generation: int,
        position: int,
        now: float,
        cpu: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Record that a child starts a job; `cpu` is what it used before: user space, kernel."""
        base = child_index * _FIELDS
        self._started[base + 1] = now
        self._started[base + 3], self._started[base + 4] = cpu
        self._job[child_index * _FIELDS] = generation << _POSITION_BITS | position + 1

    def register(self, child_index: int, pid: int) -> None:
        """Record the process id of a child."""
        self._job[child_index * _FIELDS + 2] = pid

    def pid(self, child_index: int) -> int:
        """Return the process id of a child; 0 until it is known."""
        return self._job[child_index * _FIELDS + 2]

    def terminate(self, child_index: int) -> None:
        """Record that the supervisor ends the job of a child: SIGTERM follows."""
        self._job[child_index * _FIELDS + 5] = 1

    def is_terminated(self, child_index: int) -> bool:
        """Whether SIGTERM for a child comes from its supervisor."""
        return bool(self._job[child_index * _FIELDS + 5])

    def started_job(self, child_index: int) -> StartedJob | None:
        """Return the job that a child started last; None before its first."""
        job = self._job[child_index * _FIELDS]
        if not job:
            return None
        generation, position = divmod(job, 1 << _POSITION_BITS)
        base = child_index * _FIELDS
        return StartedJob(
            generation=generation,
            position=position - 1,
            started_at=self._started[base + 1],
            user_s=self._started[base + 3],
            system_s=self._started[base + 4],
        )

    def clear(self, child_index: int) -> None:
        """Clear a row for the next child."""
        self._job[child_index * _FIELDS] = 0
        self._job[child_index * _FIELDS + 2] = 0
        self._job[child_index * _FIELDS + 5] = 0
