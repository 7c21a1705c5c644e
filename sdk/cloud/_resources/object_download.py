"""Downloads of objects: ranges of one version, as a stream or as a file."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from picloud_model.wire import bucket as wire

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from cloud._http.exchange import HttpReply
    from cloud._http.transport import Transport
    from cloud._resources.object_upload import Progress

PIECE_BYTES: Final = 8 * 1024 * 1024
"""How many bytes one request of a download is for."""
AHEAD: Final = 4
"""How many pieces of a stream are requested ahead; they are kept in memory."""
IN_PARALLEL: Final = 8
"""How many parts of a file are received at the same time; they are written as they arrive."""
FIRST_BYTES: Final = 64 * 1024
"""How many bytes a stream requests first; each time twice as many, up to `PIECE_BYTES`."""
_FRESH_S: Final = 240.0
"""How long an address of bytes is used: less than a presigned URL is valid."""
_FORBIDDEN, _NOT_FOUND, _CHANGED, _PAST_THE_END = 403, 404, 412, 416
_GONE: Final = (_FORBIDDEN, _NOT_FOUND, _CHANGED, _PAST_THE_END)
"""What a request for bytes is answered with when its version no longer exists."""


class FileRange:
    """Where a part of a reply is written: a range of a file. It computes the MD5 of the part."""

    def __init__(self, descriptor: int, path: str, start: int) -> None:
        self._descriptor = descriptor
        self._path = path
        self._start = start
        self.open()

    def open(self) -> FileRange:
        """Begin at the first byte of the range."""
        self.size = 0
        self.digest = hashlib.md5(usedforsecurity=False)
        return self

    def write(self, data: bytes | memoryview, /) -> None:
        """Add bytes.

        Raises:
            CloudException: When the file cannot be written; an `OSError` would seem to be of the
                connection.
        """
        self.digest.update(data)
        rest = memoryview(data)
        try:
            while rest:
                written = os.pwrite(self._descriptor, rest, self._start + self.size)
                rest = rest[written:]
                self.size += written
        except OSError as error:
            raise _unwritable(self._path, error) from error


class OpenedVersion:
    """One version of an object, any bytes of which can be read while it exists.

    Threads may share it.
    """

    def __init__(self, transport: Transport, key: str) -> None:
        self._transport = transport
        self.key = key
        opened = self._open()
        self.object = opened.object
        self._url = opened.url
        self._opened_at = time.monotonic()

    def read(self, start: int, end: int) -> bytes:
        """Return bytes `start .. end-1`.

        Raises:
            CloudException: When the object was replaced or removed meanwhile.
        """
        if start >= end:
            return b""
        reply = self._get(start, end)
        if len(reply.body) != end - start:
            self._changed()
        return reply.body

    def read_to(self, start: int, end: int, target: FileRange) -> None:
        """Write bytes `start .. end-1` to a range of a file.

        Raises:
            CloudException: When the object was replaced or removed meanwhile.
        """
        if start < end:
            self._get(start, end, target)
        if target.size != end - start:
            self._changed()

    def _get(self, start: int, end: int, target: FileRange | None = None) -> HttpReply:
        if time.monotonic() - self._opened_at > _FRESH_S:
            self._renew()
        reply = self._request(start, end, target)
        if reply.status == _FORBIDDEN:
            self._renew()
            reply = self._request(start, end, target)
        if reply.status in _GONE:
            self._changed()
        return reply

    def _request(self, start: int, end: int, target: FileRange | None) -> HttpReply:
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Match": f'"{self.object.etag}"'}
        return self._transport.read(self._url, headers, _GONE, target)

    def _open(self) -> wire.OpenedObject:
        body = wire.OpenObjectRequest(key=self.key)
        return self._transport.post("/v1/bucket/open", body, wire.OpenedObject)

    def _renew(self) -> None:
        opened = self._open()
        if opened.object.etag != self.object.etag:
            self._changed()
        self._url, self._opened_at = opened.url, time.monotonic()

    def _changed(self) -> NoReturn:
        raise CloudException(
            f"The object {self.key!r:.200} was replaced or removed while it was read; "
            "read it again.",
            retry=True,
        )


def pieces(version: OpenedVersion, start: int, end: int) -> Iterator[bytes]:
    """Yield bytes `start .. end-1` in order; a few pieces are requested ahead."""
    spans = [(at, min(end, at + PIECE_BYTES)) for at in range(start, end, PIECE_BYTES)]
    if len(spans) == 1:
        yield version.read(*spans[0])
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

    with ThreadPoolExecutor(AHEAD, "picloud-download") as threads:
        waiting: deque[Future[bytes]] = deque()
        try:
            for span in spans:
                waiting.append(threads.submit(version.read, *span))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def download(version: OpenedVersion, path: str, span: tuple[int, int], progress: Progress) -> None:
    """Write bytes of an object to a file, which is replaced only once all of them have arrived.

    Raises:
        CloudException: When the bytes are damaged, or the file cannot be written.
    """
    new = f"{path}.{os.getpid()}-{time.monotonic_ns():x}.part"
    try:
        with open(new, "x+b") as file:  # noqa: PTH123 - a path may also be bytes
            _reserve(file.fileno(), span[1] - span[0])
            range_at = partial(FileRange, file.fileno(), path)
            md5s = _receive(version, range_at, span, progress)
            if span == (0, version.object.size) and _is_damaged(version, md5s, file):
                raise CloudException(
                    f"The object {version.key!r:.200} arrived damaged; get it again."
                )
        os.replace(new, path)  # noqa: PTH105
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            os.unlink(new)  # noqa: PTH108


def _unwritable(path: str, error: OSError) -> CloudException:
    return CloudException(f"{path} cannot be written: {error.strerror or error}.")


def _reserve(descriptor: int, size: int) -> None:
    """Reserve room on the disk, so that a full one is noticed before anything is sent."""
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
                raise


def _receive(
    version: OpenedVersion,
    range_at: Callable[[int], FileRange],
    span: tuple[int, int],
    progress: Progress,
) -> list[str]:
    """Write a span of an object to a file, a few parts at a time; return the MD5s of the parts."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

    first, end = span
    length = wire.PART_BYTES

    def receive(start: int) -> str:
        target = range_at(start - first)
        version.read_to(start, min(end, start + length), target)
        progress(target.size)
        return target.digest.hexdigest()

    starts = range(first, end, length)
    if len(starts) == 1:
        return [receive(first)]
    with ThreadPoolExecutor(IN_PARALLEL, "picloud-download") as threads:
        try:
            return list(threads.map(receive, starts))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _is_damaged(version: OpenedVersion, md5s: Sequence[str], file: io.BufferedRandom) -> bool:
    """Whether a whole object that was written to a file does not have its MD5, as far as known."""
    known = version.object
    if known.md5 in md5s[:1] and len(md5s) == 1:
        return False
    # An object that was written in parts has the parts it was read in, unless it was copied.
    if wire.etag_of_parts(md5s) == known.etag or not known.md5:
        return False
    file.seek(0)
    return hashlib.file_digest(file, "md5").hexdigest() != known.md5


class CloudBucketObject(io.RawIOBase):
    """An object, or a range of its bytes, as a file that is open for reading.

    It reads one version of the object, and requests bytes when they are read. Positions are those
    in the object, also where a range was opened. `cloud.bucket.getf` returns it.

    >>> import io
    >>> issubclass(CloudBucketObject, io.IOBase)
    True
    """

    def __init__(self, version: OpenedVersion, start: int, end: int) -> None:
        super().__init__()
        self._version = version
        self._start = start
        self._end = end
        self._at = start
        self._buffer = b""
        self._buffer_at = start
        self._next_bytes = FIRST_BYTES

    @property
    def name(self) -> str:
        """The key of the object."""
        return self._version.key

    def readable(self) -> bool:
        """Return True."""
        return True

    def write(self, _: Any, /) -> int:
        """Refuse: an object is stored as a whole."""
        raise io.UnsupportedOperation(
            f"The object {self.name!r:.80} is open for reading; cloud.bucket.putf stores it anew."
        )

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position of the next byte to read, in the object."""
        return self._at

    def end(self) -> int:
        """Return the position after the last byte that can be read, in the object."""
        return self._end

    def filesize(self) -> int:
        """Return the size of the object in bytes."""
        return self._version.object.size

    def byte_range(self) -> tuple[int, int]:
        """Return the positions of the first byte that can be read, and after the last one."""
        return self._start, self._end

    def sizeofchunk(self) -> int:
        """Return how many bytes can be read in all: those of the range that was opened."""
        return self._end - self._start

    def md5(self) -> str:
        """Return the MD5 of the object in hex, "" if it was not stored with one."""
        return self._version.object.md5

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to a position; return it."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end}.get(whence)
        if origin is None:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence!r:.80}.")
        if origin + offset < 0:
            raise ValueError(f"There is no position {origin + offset}.")
        self._at = max(self._start, origin + offset)
        return self._at

    def peek(self, size: int = 0, /) -> bytes:
        """Return bytes at the position without moving: at least one, except at the end."""
        offset = self._fill(self._at)
        return self._buffer[offset : offset + max(size, io.DEFAULT_BUFFER_SIZE)]

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes into a buffer; return how many."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end; all that are left by default."""
        left = max(0, self._end - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > PIECE_BYTES:
            self._check_open()
            data = b"".join(pieces(self._version, self._at, self._at + wanted))
        else:
            data = b"".join(self._blocks(wanted))
        self._at += len(data)  # only now: after an error the same bytes are read again
        return data

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return the bytes up to and including the next newline, at most `size`."""
        left = max(0, self._end - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        blocks, at = [], self._at
        while wanted > 0:
            offset = self._fill(at)
            newline = self._buffer.find(b"\n", offset, offset + wanted)
            end = newline + 1 if newline >= 0 else min(len(self._buffer), offset + wanted)
            blocks.append(self._buffer[offset:end])
            at += end - offset
            wanted = 0 if newline >= 0 else wanted - (end - offset)
        self._at = at
        return b"".join(blocks)

    def _blocks(self, wanted: int) -> Iterator[bytes]:
        at = self._at
        while wanted > 0:
            offset = self._fill(at)
            block = self._buffer[offset : offset + wanted]
            yield block
            at += len(block)
            wanted -= len(block)

    def _fill(self, at: int) -> int:
        """Request the bytes at a position unless they are there; return where they begin."""
        self._check_open()
        offset = at - self._buffer_at
        if 0 <= offset < len(self._buffer):
            return offset
        follows = offset == len(self._buffer)
        self._next_bytes = min(PIECE_BYTES, self._next_bytes * 2) if follows else FIRST_BYTES
        end = min(self._end, at + self._next_bytes)
        self._buffer = self._version.read(at, end)
        self._buffer_at = at
        return 0

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return self.read()

    def next(self) -> bytes:
        """Return the next line.

        Raises:
            StopIteration: At the end.
        """
        return next(self)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("The object was closed.")
