"""Open files: readers fetch ranges of one version, writers have a copy that is uploaded whole."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future

    from picloud_model.wire.bucket import OpenedObject

    from picloud_worker.mount.client import MountClient

FIRST_BYTES: Final = 128 * 1024
"""How many bytes are fetched at least; for a reader in sequence twice as many each time."""
MOST_BYTES: Final = 2 * 1024 * 1024
"""How many bytes are fetched at most; as many are requested ahead."""
_COPY: Final = 4 * 1024 * 1024


class OpenFile(Protocol):
    """A file that a program has open."""

    key: str
    modified: float
    """When it was changed, in seconds since 1970."""

    @property
    def size(self) -> int:
        """Its length."""

    def read(self, length: int, offset: int) -> bytes:
        """Return bytes."""

    def write(self, data: bytes, offset: int) -> int:
        """Write bytes, and return how many."""

    def truncate(self, length: int) -> None:
        """Change the length."""

    def upload(self) -> None:
        """Store what was written."""

    def close(self) -> None:
        """Forget it."""


class Reader:
    """A file that is open for reading: one version of its object.

    What was fetched last is kept, as programs read small pieces in sequence. A reader that seeks
    fetches little. One in sequence fetches more and more, the next bytes while it uses these.
    """

    def __init__(self, client: MountClient, key: str) -> None:
        self.key = key
        self._client = client
        self._opened: OpenedObject = client.open(key)
        self.modified = self._opened.object.modified_at
        self._start = 0
        self._data = b""
        self._following: Future[bytes] | None = None
        self._ahead = FIRST_BYTES
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Return the length of the version."""
        return self._opened.object.size

    def read(self, length: int, offset: int) -> bytes:
        """Return bytes of the version."""
        end = min(offset + length, self.size)
        pieces = []
        with self._lock:
            while offset < end:
                if not self._start <= offset < self._start + len(self._data):
                    self._fetch(offset, end)
                piece = self._data[offset - self._start : end - self._start]
                pieces.append(piece)
                offset += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, data: bytes, offset: int) -> int:
        """Refuse to write: the file is open for reading."""
        del data, offset
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def truncate(self, length: int) -> None:
        """Refuse to write: the file is open for reading."""
        del length
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def upload(self) -> None:
        """Store nothing: nothing was written."""

    def close(self) -> None:
        """Forget what was fetched."""
        self._forget()

    def _fetch(self, start: int, end: int) -> None:
        """Replace what is kept by the bytes from `start` on."""
        in_sequence = bool(self._data) and start == self._start + len(self._data)
        following = None
        if in_sequence:
            # Taken out first, as what is forgotten is cancelled.
            following, self._following = self._following, None
        self._forget()
        self._ahead = min(self._ahead * 2, MOST_BYTES) if in_sequence else FIRST_BYTES
        if following:
            data = following.result()
        else:
            stop = min(max(end, start + self._ahead), self.size)
            data = self._client.read(self._opened, start, stop)
        self._start, self._data = start, data
        begin = start + len(data)
        stop = min(begin + self._ahead, self.size)
        if in_sequence and begin < stop:
            self._following = self._client.read_ahead(self._opened, begin, stop)

    def _forget(self) -> None:
        if self._following:
            self._following.cancel()
        self._data, self._following = b"", None


class Writer:
    """A file that is open for writing: a copy, which `upload` stores if it was changed.

    Args:
        client: Stores it.
        key: Where.
        empty: Whether the file begins empty, as a new one or with O_TRUNC.
        appends: Whether everything is written at its end, as with O_APPEND.
        directory: Where to keep the copy.
    """

    def __init__(
        self, client: MountClient, key: str, *, empty: bool, appends: bool, directory: str
    ) -> None:
        self.key = key
        self._client = client
        self._appends = appends
        self._lock = threading.Lock()
        self._headers: dict[str, str] = {}
        self._dirty = empty
        self.modified = time.time()
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115
        try:
            if not empty:
                self._download()
        except BaseException:
            self._file.close()
            raise

    @property
    def size(self) -> int:
        """Return the length of the copy."""
        return os.fstat(self._file.fileno()).st_size

    def read(self, length: int, offset: int) -> bytes:
        """Return bytes of the copy."""
        return os.pread(self._file.fileno(), length, offset)

    def write(self, data: bytes, offset: int) -> int:
        """Write to the copy."""
        with self._lock:
            # The kernel's idea of the end may be older than this copy.
            at = self.size if self._appends else offset
            rest = memoryview(data)
            self._dirty = True
            self.modified = time.time()
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                at, rest = at + written, rest[written:]
        return len(data)

    def truncate(self, length: int) -> None:
        """Change the length of the copy."""
        with self._lock:
            if length != self.size:
                self._dirty = True
                os.ftruncate(self._file.fileno(), length)

    def upload(self) -> None:
        """Store the copy, if it was changed since it was stored."""
        with self._lock:
            if self._dirty:
                self._client.write(self.key, self._file, self.size, self._headers)
                self._dirty = False

    def close(self) -> None:
        """Remove the copy."""
        self._file.close()

    def _download(self) -> None:
        opened = self._client.open(self.key)
        self._headers = opened.object.headers
        size = opened.object.size
        for start in range(0, size, _COPY):
            data = self._client.read(opened, start, min(start + _COPY, size))
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
