"""Output: where stdout, stderr and the log of user code go, bounded, and cut job by job.

A child runs many jobs into the same files. It tells how long each file was when a job ended, so
that what a job wrote is what lies between two ends, whoever wrote it: Python, C, or a process the
job started. The beginning of a file is given back to the disk while its offsets stay.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from picloud_model.info import MOST_CHARACTERS
from picloud_model.wire import Stream

from picloud_worker.system import hole_punch

if TYPE_CHECKING:
    from pathlib import Path

KEPT_BYTES: Final = 1024 * 1024
"""How much of a long output is kept; what a job writes faster than we look comes on top."""
TAIL_BYTES: Final = 8192
"""A crash in a deep stack takes that much to tell."""
PORTION_BYTES: Final = 64 * 1024
"""Most of a stream that is told at once to somebody who follows it."""

_LONGEST_CHARACTER: Final = 4
_CONTINUES: Final = bytes(range(0x80, 0xC0))
_LEADS: Final = bytes(range(0xC2, 0xF5))


class Output:
    """One stream of a child: a file without a name, appended to by the child."""

    def __init__(self, directory: Path) -> None:
        path = directory / f"output-{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self.descriptor = os.open(path, flags, 0o600)
        path.unlink()
        self._begin = 0
        self._given_back = 0

    def bound(self) -> None:
        """Give back what nobody asks for: what earlier jobs wrote, and the start of too much."""
        size = self._size()
        end = max(self._begin, size - KEPT_BYTES)
        if end - self._given_back >= KEPT_BYTES:
            if hole_punch.punch_hole(self.descriptor, self._given_back, end):
                self._given_back = end
            else:
                # Where files cannot have holes it is emptied, and what was in it is lost.
                os.ftruncate(self.descriptor, 0)
                self._begin = self._given_back = 0

    def take(self, end: int | None = None) -> Stream | None:
        """What the current job wrote, its last 64k characters; the next job begins here.

        Args:
            end: How long the file was when the job ended; None for now.
        """
        size = self._size() if end is None else end
        begin, self._begin = min(self._begin, size), size
        return self._told(begin, size) if size > begin else None

    def look(self, since: int | None = None) -> Stream:
        """What the current job has written so far: its last characters, or a portion.

        Args:
            since: How many bytes of it are known; a portion of what follows is told.
        """
        size = self._size()
        if since is None:
            return self._told(self._begin, size)
        start = min(max(self._begin + since, self._given_back), size)
        data = os.pread(self.descriptor, min(PORTION_BYTES, size - start), start)
        return Stream(start - self._begin, whole(data))

    def tail(self) -> str:
        """The last 8 KB that the current job wrote."""
        size = self._size()
        start = max(self._begin, size - TAIL_BYTES)
        return os.pread(self.descriptor, size - start, start).decode(errors="replace")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)

    def _size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def _told(self, begin: int, end: int) -> Stream:
        start = max(begin, end - _LONGEST_CHARACTER * MOST_CHARACTERS, self._given_back)
        data = last_characters(os.pread(self.descriptor, end - start, start))
        return Stream(end - len(data) - begin, data)


def last_characters(data: bytes, most: int = MOST_CHARACTERS) -> bytes:
    """The bytes of the last `most` characters; a byte that belongs to none counts as one.

    >>> last_characters("aäb".encode(), 2).decode()
    'äb'
    """
    if len(data) <= most:
        return data
    text = data.decode(errors="surrogateescape")
    return text[-most:].encode(errors="surrogateescape")


def whole(data: bytes) -> bytes:
    """The bytes without a character that is not whole yet at their end.

    >>> whole("aä".encode()[:-1])
    b'a'
    """
    for back in range(1, min(_LONGEST_CHARACTER, len(data) + 1)):
        lead = data[-back]
        if lead in _CONTINUES:
            continue
        length = 2 + (lead >= 0xE0) + (lead >= 0xF0) if lead in _LEADS else 1  # noqa: PLR2004
        return data[:-back] if length > back else data
    return data
