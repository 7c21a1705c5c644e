"""Uploads of objects: where their bytes come from, and how they are sent in parts."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from picloud_model.wire import Answer
from picloud_model.wire import bucket as wire

from cloud.errors import CloudException

if TYPE_CHECKING:
    from cloud._http.exchange import LongBody
    from cloud._http.transport import Transport

IN_PARALLEL: Final = 4
"""How many parts are sent at the same time."""
_BLOCK_BYTES: Final = 1024 * 1024
_SPOOLED_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of a stream without a length that are kept in memory before they are sent."""

Progress = Callable[[int], None]
"""Is called with the number of bytes that were sent or received since the last call."""


class Source(Protocol):
    """Bytes to send, of which any range can be read more than once."""

    @property
    def size(self) -> int:
        """Their number."""

    def range(self, start: int, size: int) -> bytes | LongBody:
        """Return `size` bytes from `start` on."""

    def md5(self, start: int, size: int) -> str:
        """Return the MD5 of such a range, in hex."""


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def range(self, start: int, size: int) -> bytes:
        """Return some of them."""
        return bytes(self._data[start : start + size])

    def md5(self, start: int, size: int) -> str:
        """Return the MD5 of some of them."""
        return hashlib.md5(self._data[start : start + size], usedforsecurity=False).hexdigest()


class FileSource:
    """The bytes of an open file from its position on; threads take turns to read it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._first = file.tell()
        self.size = max(0, file.seek(0, io.SEEK_END) - self._first)

    def range(self, start: int, size: int) -> FileRange:
        """Return a range that is read when it is sent."""
        return FileRange(self, start, size)

    def md5(self, start: int, size: int) -> str:
        """Return the MD5 of a range."""
        digest = hashlib.md5(usedforsecurity=False)
        readable = FileRange(self, start, size).open()
        while block := readable.read(_BLOCK_BYTES):
            digest.update(block)
        return digest.hexdigest()

    def read_at(self, start: int, size: int) -> bytes:
        """Return bytes at a position.

        Raises:
            CloudException: When the file ends before it.
        """
        with self._lock:
            self._file.seek(self._first + start)
            data = self._file.read(size)
        if size and not data:
            raise CloudException("The file became shorter while it was sent; send it again.")
        return data


class FileRange:
    """A range of a file, as the body of a request."""

    def __init__(self, source: FileSource, start: int, size: int) -> None:
        self._source = source
        self._start = start
        self.size = size

    def open(self) -> _FileRangeReader:
        """Return a reader at its first byte."""
        return _FileRangeReader(self._source, self._start, self._start + self.size)


class _FileRangeReader:
    """Reads a range once."""

    def __init__(self, source: FileSource, at: int, end: int) -> None:
        self._source = source
        self._at = at
        self._end = end

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        left = self._end - self._at
        data = self._source.read_at(self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        return data


def spooled(stream: Any) -> IO[bytes]:
    """Return the rest of a stream as a file: in memory if it is small, else on disk.

    Raises:
        CloudException: When it is not a stream.
    """
    import tempfile  # noqa: PLC0415 - few streams come here

    file = tempfile.SpooledTemporaryFile(_SPOOLED_BYTES)  # noqa: SIM115 - the caller closes it
    while block := stream.read(_BLOCK_BYTES):
        file.write(block.encode() if isinstance(block, str) else block)
    file.seek(0)
    return file


class Uploader:
    """Sends objects: small ones in the request, others to the targets that the server names."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def put(
        self, key: str, source: Source, headers: dict[str, str], progress: Progress
    ) -> wire.ObjectDescription | None:
        """Store an object; return its description if the server has sent it.

        Raises:
            CloudException: When the server refuses it, or the bytes change while they are sent.
        """
        is_small = source.size <= wire.INLINE_OBJECT_BYTES
        data = _bytes(source.range(0, source.size)) if is_small else None
        md5 = source.md5(0, source.size)
        if data is not None:
            # Of what is sent, not of what the file has become since.
            md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        body = wire.PutObjectRequest(key=key, size=source.size, md5=md5, headers=headers, data=data)
        answer = self._transport.post("/v1/bucket/put", body, wire.ObjectPut)
        if answer.upload:
            return self._put_parts(key, source, answer, progress)
        if answer.target is not None:
            target = answer.target
            self._transport.put(target.url, source.range(0, source.size), target.headers)
        progress(source.size)
        return answer.stored

    def _put_parts(
        self, key: str, source: Source, put: wire.ObjectPut, progress: Progress
    ) -> wire.ObjectDescription:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

        def send(start: int) -> str:
            size = min(put.part_bytes, source.size - start)
            md5 = source.md5(start, size)
            number = start // put.part_bytes + 1
            part = wire.PutPartRequest(
                key=key, upload=put.upload, number=number, size=size, md5=md5
            )
            target = self._transport.post("/v1/bucket/parts", part, wire.PartTarget).target
            self._transport.put(target.url, source.range(start, size), target.headers)
            progress(size)
            return md5

        starts = range(0, source.size, put.part_bytes)
        try:
            with ThreadPoolExecutor(IN_PARALLEL, "picloud-upload") as threads:
                try:
                    md5s = list(threads.map(send, starts))
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    raise
            finish = wire.FinishUploadRequest(key=key, upload=put.upload, parts=md5s)
            return self._transport.post("/v1/bucket/finish", finish, wire.ObjectDescription)
        except BaseException:
            self._abort(key, put.upload)
            raise

    def _abort(self, key: str, upload: str) -> None:
        abort = wire.AbortUploadRequest(key=key, upload=upload)
        with suppress(CloudException):  # the error that ended the upload says more
            self._transport.post("/v1/bucket/abort", abort, Answer)


def _bytes(body: bytes | LongBody) -> bytes:
    return body if isinstance(body, bytes) else body.open().read()
