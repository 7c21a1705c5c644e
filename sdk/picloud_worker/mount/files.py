"""Open files: readers fetch ranges of one version, writers have a copy that is uploaded whole."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from picloud_model.errors import ObjectChanged, PiCloudError, Unavailable, UploadNotFound
from picloud_model.wire.bucket import MAX_PARTS, PART_BYTES, WHOLE_OBJECT_BYTES

from picloud_worker.mount.request import REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Generator

    from picloud_model.wire.bucket import OpenedObject

    from picloud_worker.mount.client import MountClient, PartsUpload

FIRST_BYTES: Final = 128 * 1024
"""How many bytes are requested at least; by a reader in sequence twice as many each time."""
_WHOLE_BYTES: Final = 1024 * 1024
"""A longer response is read as the program reads: what follows waits in the socket's buffer."""
MOST_BYTES: Final = 64 * 1024 * 1024
"""How many bytes are requested at most. Fewer would cost the S3 server more time a byte."""
_COPY: Final = 4 * 1024 * 1024
_OUT_OF_SEQUENCE: Final = -1
_OVERTAKEN_BYTES: Final = 2 * REQUEST_BYTES
"""How far ahead of its predecessor a request may be: the kernel requests that much ahead."""
_OVERTAKEN_S: Final = 0.005
"""How long a request waits for its predecessor: less than another request to S3 would take."""


class OpenFile(Protocol):
    """A file that a program has open."""

    key: str
    modified: float
    """When it was changed, in seconds since 1970."""

    @property
    def size(self) -> int:
        """Its length."""

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read bytes into a buffer, as many as it has room for if there are; return how many."""

    def write(self, data: bytes | memoryview, offset: int) -> int:
        """Write bytes, and return how many."""

    def truncate(self, length: int) -> None:
        """Change the length."""

    def upload(self) -> bool:
        """Store what was written; return whether something was."""

    def close(self) -> None:
        """Forget it."""


class Reader:
    """A file that is open for reading: one version of its object.

    What was fetched last is kept, as programs read small pieces in sequence. A reader that seeks
    fetches little. One in sequence requests more and more, and the server sends ahead; the bytes
    then go from the connection to the buffer of the kernel's request.

    The kernel requests a file ahead in order, but threads may overtake each other: a request for
    what comes a little later waits for its predecessor, or leaves it what is before.

    Args:
        client: Reads it.
        opened: The version.
    """

    def __init__(self, client: MountClient, opened: OpenedObject) -> None:
        self.key = opened.object.key
        self._client = client
        self._opened = opened
        self.modified = opened.object.modified_at
        self._start = 0
        self._data = opened.data or b""
        self._next = len(self._data)
        """Where a reader in sequence goes on."""
        self._stream: Generator[int, memoryview, None] | None = None
        self._ahead = FIRST_BYTES
        self._turn = threading.Condition(threading.Lock())

    @property
    def size(self) -> int:
        """Return the length of the version."""
        return self._opened.object.size

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read bytes of the version."""
        start, end = offset, min(offset + len(buffer), self.size)
        with self._turn:
            if self._next < offset <= self._next + _OVERTAKEN_BYTES:
                self._turn.wait_for(lambda: self._next >= offset, _OVERTAKEN_S)
            try:
                while offset < end:
                    data = memoryview(self._data)[max(0, offset - self._start) :]
                    if offset >= self._start and data:
                        data = data[: end - offset]
                        buffer[offset - start : offset - start + len(data)] = data
                        offset += len(data)
                    else:
                        offset += self._fetch(buffer[offset - start : end - start], offset)
            finally:
                self._turn.notify_all()
        return max(0, end - start)

    def write(self, data: bytes | memoryview, offset: int) -> int:
        """Refuse to write: the file is open for reading."""
        del data, offset
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def truncate(self, length: int) -> None:
        """Refuse to write: the file is open for reading."""
        del length
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def upload(self) -> bool:
        """Store nothing: nothing was written."""
        return False

    def close(self) -> None:
        """Forget what was fetched."""
        with self._turn:
            self._close_stream()
            self._data = b""

    def _fetch(self, buffer: memoryview, start: int) -> int:
        """Read bytes from `start` on into a buffer, or keep them; return how many it got."""
        is_near = 0 < self._next <= start <= self._next + _OVERTAKEN_BYTES
        if is_near and self._ahead > _WHOLE_BYTES:
            if start > self._next:
                self._keep_up_to(start)
            return self._receive(buffer)
        self._close_stream()
        length = max(len(buffer), self._ahead if 0 < start == self._next else FIRST_BYTES)
        stop = min(start + length, self.size)
        self._ahead = min(2 * length, MOST_BYTES)
        self._data = b""
        self._data = self._client.read(self._opened, start, stop)
        self._start, self._next = start, stop
        return 0

    def _receive(self, buffer: memoryview) -> int:
        """Read the next bytes of a long response into a buffer; return how many."""
        if self._stream is not None:
            # The server may have closed the connection while the program read nothing.
            with contextlib.suppress(StopIteration, Unavailable):
                return self._count(self._stream.send(buffer))
            self._close_stream()
        stop = min(self._next + self._ahead, self.size)
        self._ahead = min(2 * self._ahead, MOST_BYTES)
        stream = self._client.stream(self._opened, self._next, stop)
        next(stream)
        self._stream = stream
        try:
            return self._count(stream.send(buffer))
        except StopIteration:
            raise ObjectChanged from None

    def _count(self, received: int) -> int:
        self._next += received
        return received

    def _keep_up_to(self, end: int) -> None:
        """Keep the bytes before a place, which a request that was overtaken will read."""
        start, kept = self._next, bytearray(end - self._next)
        while self._next < end:
            self._receive(memoryview(kept)[self._next - start :])
        self._start, self._data = start, bytes(kept)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


class Writer:
    """A file that is open for writing: a copy, which `upload` stores if it was changed.

    Of a large file that is written from its beginning on, parts are sent meanwhile. They are not
    part of any object before `upload`; a write to an earlier place makes them useless.

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
        self._written = 0 if empty else _OUT_OF_SEQUENCE
        """How many bytes were written in sequence, from the beginning on."""
        self._parts: PartsUpload | None = None
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

    def read(self, buffer: memoryview, offset: int) -> int:
        """Read bytes of the copy."""
        return os.preadv(self._file.fileno(), [buffer], offset)

    def write(self, data: bytes | memoryview, offset: int) -> int:
        """Write to the copy."""
        with self._lock:
            # The kernel's idea of the end may be older than this copy.
            at = start = self.size if self._appends else offset
            if start != self._written:
                self._give_up()
            rest = memoryview(data)
            self._dirty = True
            self.modified = time.time()
            while rest:
                written = os.pwrite(self._file.fileno(), rest, at)
                at, rest = at + written, rest[written:]
            if start == self._written:
                self._written = at
                self._send_parts()
        return len(data)

    def truncate(self, length: int) -> None:
        """Change the length of the copy."""
        with self._lock:
            if length != self.size:
                self._dirty = True
                self._give_up()
                os.ftruncate(self._file.fileno(), length)
                self._written = 0 if length == 0 else _OUT_OF_SEQUENCE

    def upload(self) -> bool:
        """Store the copy, if it was changed since it was stored; return whether it was."""
        with self._lock:
            if not self._dirty:
                return False
            if not self._finish_parts():
                self._client.write(self.key, self._file, self.size, self._headers)
            self._dirty = False
            return True

    def close(self) -> None:
        """Remove the copy."""
        with self._lock:
            self._give_up()
        self._file.close()

    def _send_parts(self) -> None:
        """Send the parts that are complete, of a file that is too long for a single request."""
        if self._parts is None and self._written > WHOLE_OBJECT_BYTES and not self._headers:
            try:
                self._parts = self._client.begin(self.key, self._file)
            except PiCloudError:
                self._written = _OUT_OF_SEQUENCE  # `upload` tries again, and reports the error
        if self._parts is not None:
            if self._written > PART_BYTES * MAX_PARTS:
                self._give_up()  # longer files have longer parts
            else:
                self._parts.send(self._written)

    def _finish_parts(self) -> bool:
        """Store the file by the parts that were sent; return whether it is stored."""
        parts = self._parts
        if parts is None or parts.key != self.key or parts.have_failed():  # or it was renamed
            self._give_up()
            return False
        self._parts, self._written = None, _OUT_OF_SEQUENCE
        try:
            parts.finish(self.size)
        except UploadNotFound:
            return False  # it took more than a day to write the file
        return True

    def _give_up(self) -> None:
        """Send no parts of this file before it is uploaded."""
        parts, self._parts = self._parts, None
        self._written = _OUT_OF_SEQUENCE
        if parts is not None:
            parts.abort()

    def _download(self) -> None:
        opened = self._client.open(self.key)
        self._headers = opened.object.headers
        size = opened.object.size
        for start in range(0, size, _COPY):
            data = opened.data or self._client.read(opened, start, min(start + _COPY, size))
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]
