"""The files that take stdout, stderr and the log of user code: bounded, and cut job by job.

All jobs of a child write to the same files. The child reports how long each file was when a job
ended, so that the output of a job lies between two ends, whether Python, C code or a process that
the job started wrote it. The disk space of what is no longer needed is freed; offsets stay.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

from picloud_model.info import MOST_CHARACTERS
from picloud_model.wire import Stream

from picloud_worker.system import hole_punch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEPT_BYTES: Final = 1024 * 1024
"""The part of a long output that is kept, besides what a job writes between two looks."""
TAIL_BYTES: Final = 8192
"""Enough for the crash report of a deep stack."""
PORTION_BYTES: Final = 64 * 1024
"""The most that a user who follows a stream gets at once."""

_LONGEST_CHARACTER: Final = 4
_CONTINUES: Final = bytes(range(0x80, 0xC0))
_LEADS: Final = bytes(range(0xC2, 0xF5))


class Output:
    """One stream of a child: a file without a name that the child appends to.

    Args:
        directory: Where the file is made.
        punch_hole: Frees the disk space of a range of bytes, where the file system can.
    """

    def __init__(
        self,
        directory: Path,
        punch_hole: Callable[[int, int, int], bool] = hole_punch.punch_hole,
    ) -> None:
        self._punch_hole = punch_hole
        path = directory / f"output-{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self.descriptor = os.open(path, flags, 0o600)
        path.unlink()
        self._begin = 0
        self._freed = 0

    def bound(self) -> None:
        """Free the disk space of earlier jobs, and of the beginning of a long output."""
        size = self._size()
        end = max(self._begin, size - KEPT_BYTES)
        if end - self._freed >= KEPT_BYTES:
            if self._punch_hole(self.descriptor, self._freed, end):
                self._freed = end
            else:
                # Where files cannot have holes the file is emptied; the output in it is lost.
                os.ftruncate(self.descriptor, 0)
                self._begin = self._freed = 0

    def take(self, end: int | None = None) -> Stream | None:
        """Return the last 64k characters of the job's output; the next job begins after it.

        Args:
            end: The length of the file when the job ended, as the child reported it; None for its
                length now.
        """
        if end == self._begin:
            return None
        size = self._size()
        self._freed = min(self._freed, size)  # a job may have cut the file
        if end is not None:
            size = min(max(end, 0), size)
        begin, self._begin = min(self._begin, size), size
        return self._stream(begin, size) if size > begin else None

    def look(self, since: int | None = None) -> Stream:
        """Return the last characters of the output so far, or the portion after an offset.

        Args:
            since: The offset in bytes within the output of the job.
        """
        size = self._size()
        if since is None:
            return self._stream(self._begin, size)
        start = min(max(self._begin + since, self._freed), size)
        data = os.pread(self.descriptor, min(PORTION_BYTES, size - start), start)
        return Stream(start - self._begin, whole(data))

    def tail(self) -> str:
        """Return the last 8 KB of the job's output."""
        size = self._size()
        start = min(max(self._begin, size - TAIL_BYTES), size)  # a job may have cut the file
        return os.pread(self.descriptor, size - start, start).decode(errors="replace")

    def close(self) -> None:
        """Close the file, which deletes it."""
        os.close(self.descriptor)

    def _size(self) -> int:
        return os.fstat(self.descriptor).st_size

    def _stream(self, begin: int, end: int) -> Stream:
        start = min(max(begin, end - _LONGEST_CHARACTER * MOST_CHARACTERS, self._freed), end)
        data = last_characters(os.pread(self.descriptor, end - start, start))
        return Stream(end - len(data) - begin, data)


def last_characters(data: bytes, most: int = MOST_CHARACTERS) -> bytes:
    """Return the bytes of the last `most` characters; a byte that is not text counts as one.

    >>> last_characters("aäb".encode(), 2).decode()
    'äb'
    """
    if len(data) <= most:
        return data
    text = data.decode(errors="surrogateescape")
    return text[-most:].encode(errors="surrogateescape")


def whole(data: bytes) -> bytes:
    """Return the bytes without an incomplete character at their end.

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
