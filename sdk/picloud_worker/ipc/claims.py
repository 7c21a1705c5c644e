"""Claims: who runs a job that was given to a child but not started is decided by one pipe.

It works as GNU make's jobserver. For each job the supervisor writes one byte, a token, into a pipe
whose read end it shares with the child. The child reads a token before it starts a job, in the
order of the jobs; the supervisor takes jobs back by reading the remaining tokens. The kernel gives
each byte to exactly one of them, so that no job is both run and returned, and neither side waits.
"""

from __future__ import annotations

import os
from typing import Final

MOST: Final = 4096
"""The most jobs offered at once: an empty pipe holds at least a memory page on every system."""


class Claims:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()
        # A job may open the pipe anew and fill it: no write may block the supervisor.
        for end in (self.reader, self._writer):
            os.set_blocking(end, False)

    def offer(self, jobs: int, generation: int) -> bool:
        """Let the child start `jobs` jobs of the assignment of this generation.

        Returns:
            False when the pipe is full, which only user code that wrote to it can cause.
        """
        try:
            return os.write(self._writer, bytes((generation & 255,)) * jobs) == jobs
        except BlockingIOError:
            return False

    def take_back(self) -> int:
        """Withdraw the jobs that are not started, the last ones, and return their number."""
        taken = 0
        # More tokens than were offered are user code's; reading them must not go on forever.
        while taken < MOST and (tokens := _read(self.reader, MOST)) is not None:
            taken += len(tokens)
        return taken

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.reader)
        os.close(self._writer)


class Claimant:
    """The child's end of the pipe.

    A token names the generation of its assignment, so that the jobs of a withdrawn assignment are
    never started with a token of a later one.
    """

    def __init__(self, reader: int) -> None:
        self._reader = reader
        self._token: int | None = None

    def claim(self, generation: int) -> bool:
        """Claim the next job of this assignment; return False when none is left."""
        token = self._token
        if token is None:
            tokens = _read(self._reader, 1)
            if tokens is None:
                return False
            token = tokens[0]
        self._token = None if token == generation & 255 else token
        return self._token is None


def _read(reader: int, most: int) -> bytes | None:
    try:
        return os.read(reader, most) or None
    except BlockingIOError:
        return None
