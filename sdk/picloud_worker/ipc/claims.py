"""Claims: one pipe of tokens decides whether the supervisor or the child owns a job.

This is the jobserver of GNU make.

For each job the supervisor puts one byte into a pipe whose read end it shares with the child. The
child takes a byte before it begins a job, in their order; the supervisor takes back what is left.
The kernel hands each byte to exactly one of them, so no job is both run and returned, and neither
side ever waits for the other.
"""

from __future__ import annotations

import os
from typing import Final

MOST: Final = 4096
"""Most jobs offered at once: an empty pipe holds at least one page of bytes everywhere."""


class Claims:
    """The supervisor's side."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        os.set_blocking(self.reader, False)

    def offer(self, jobs: int, generation: int) -> None:
        """Let the child begin `jobs` more jobs, of the assignment of this generation."""
        os.write(self._writer, bytes((generation & 255,)) * jobs)

    def take_back(self) -> int:
        """Withdraw every job not begun; answers how many there were: the last ones given."""
        taken = 0
        while (some := _read(self.reader, MOST)) is not None:
            taken += len(some)
        return taken

    def close(self) -> None:
        """Give the pipe up."""
        os.close(self.reader)
        os.close(self._writer)


class Claimant:
    """The child's side.

    A token names the generation of its assignment, so that the jobs of a withdrawn assignment are
    never started with a token of a later one.
    """

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._token: int | None = None

    def claim(self, generation: int) -> bool:
        """Take the next job of this assignment; False when there is none left to take."""
        token = self._token
        if token is None:
            some = _read(self._reader, 1)
            if some is None:
                return False
            token = some[0]
        self._token = None if token == generation & 255 else token
        return self._token is None


def _read(reader: int, most: int) -> bytes | None:
    try:
        return os.read(reader, most) or None
    except BlockingIOError:
        return None
