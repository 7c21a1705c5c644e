"""A part of a file that is uploaded without being read into memory."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 256 * 1024
"""How much is read at once: several threads keep one each."""


class FilePart(msgspec.Struct, frozen=True):
    """Bytes `start .. start+size-1` of an open file.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     _ = file.write(b"abcde"), file.flush()
    ...     b"".join(FilePart(file, 1, 3).pieces())
    b'bcd'
    """

    file: IO[bytes]
    start: int
    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        at, end = self.start, self.start + self.size
        while at < end and (piece := os.pread(self.file.fileno(), min(_PIECE, end - at), at)):
            yield piece
            at += len(piece)


class HashedPart(FilePart, frozen=True):
    """A part whose MD5 is computed while it is sent.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as file:
    ...     part = HashedPart(file, 0, 0)
    ...     _ = list(part.pieces())
    >>> part.md5
    'd41d8cd98f00b204e9800998ecf8427e'
    """

    digests: list[str] = []

    @property
    def md5(self) -> str:
        """The MD5 of the bytes that were yielded last, in hex."""
        return self.digests[-1]

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes."""
        digest = hashlib.md5(usedforsecurity=False)
        for piece in super().pieces():
            digest.update(piece)
            yield piece
        self.digests.append(digest.hexdigest())
