"""Uploads of objects: where their bytes come from, and how they are sent in parts."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from picloud_model.wire import Answer
from picloud_model.wire import bucket as wire

from cloud._resources.small_object import SmallUploader
from cloud._resources.upload_record import SendingUpload
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloud._http.transport import Transport
    from cloud._resources.upload_record import UploadRecord

IN_PARALLEL: Final = 4
"""How many parts are sent at the same time."""
UPLOAD_NOT_FOUND: Final = "upload.not_found"
"""The code of the error that there is no such upload."""
_BLOCK_BYTES: Final = 1024 * 1024
_SPOOLED_BYTES: Final = 8 * 1024 * 1024
"""Maximum number of bytes of a stream without a length that are in memory before they are sent."""

Progress = Callable[[int], None]
"""Is called with the number of bytes that were sent or received since the last call."""


class Source(Protocol):
    """Bytes to send, of which any range can be read more than once."""

    @property
    def size(self) -> int:
        """Their number."""

    @property
    def modified_ns(self) -> int:
        """When they were changed last; 0 if that is not known."""

    def check_unchanged(self) -> None:
        """Raise `CloudException` if they were changed since the beginning."""

    def read_at(self, start: int, size: int) -> bytes:
        """Return up to `size` bytes from `start` on, at least one.

        Raises:
            CloudException: When there are none.
        """


class BytesSource:
    """Bytes in memory."""

    modified_ns = 0

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self.size = len(data)

    def check_unchanged(self) -> None:
        """Return: bytes do not change."""

    def read_at(self, start: int, size: int) -> bytes:
        """Return some of them."""
        return bytes(self._data[start : start + size])


class FileSource:
    """The bytes of an open file from its position on; threads may share it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._first = file.tell()
        self.size = max(0, file.seek(0, io.SEEK_END) - self._first)
        # Other files that have a descriptor, as one of gzip's, may have other bytes.
        plain = type(file) in {io.FileIO, io.BufferedReader} and hasattr(os, "pread")
        self._descriptor = file.fileno() if plain else -1
        self.modified_ns = self._modified_ns()

    def check_unchanged(self) -> None:
        """Raise an error if the file has another time or size than at first.

        Raises:
            CloudException: Says so.
        """
        if self._modified_ns() != self.modified_ns:
            raise CloudException(
                "The file was changed while it was sent, so nothing was stored; send it again.",
                retry=True,
            )

    def _modified_ns(self) -> int:
        return os.fstat(self._descriptor).st_mtime_ns if self._descriptor >= 0 else 0

    def read_at(self, start: int, size: int) -> bytes:
        """Return bytes at a position.

        Raises:
            CloudException: When the file ends before it.
        """
        if self._descriptor >= 0:
            data = os.pread(self._descriptor, size, self._first + start)
        else:
            with self._lock:
                self._file.seek(self._first + start)
                data = self._file.read(size)
        if size and not data:
            raise CloudException("The file became shorter while it was sent; send it again.")
        return data


class SourceRange:
    """A range of a source, as the body of a request."""

    def __init__(self, source: Source, start: int, size: int) -> None:
        self._source = source
        self._start = self._at = start
        self.size = size

    def open(self) -> SourceRange:
        """Begin at the first byte."""
        self._at = self._start
        return self

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        left = self._start + self.size - self._at
        wanted = left if size < 0 else min(size, left)
        data = self._source.read_at(self._at, wanted) if wanted else b""
        self._at += len(data)
        return data


class HashedRange(SourceRange):
    """A range of a source whose MD5 is computed while it is read."""

    def open(self) -> HashedRange:
        """Begin at the first byte."""
        super().open()
        self._digest = hashlib.md5(usedforsecurity=False)
        return self

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = super().read(size)
        self._digest.update(data)
        return data

    def md5(self) -> str:
        """Return the MD5 of the bytes read since it was opened, in hex."""
        return self._digest.hexdigest()


def md5_of(source: Source, start: int = 0, size: int | None = None) -> str:
    """Return the MD5 of a range of a source in hex, by default of all of it."""
    hashed = HashedRange(source, start, source.size - start if size is None else size).open()
    while hashed.read(_BLOCK_BYTES):
        pass
    return hashed.md5()


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
        self._small = SmallUploader(transport)

    def put(
        self,
        key: str,
        source: Source,
        headers: dict[str, str],
        progress: Progress,
        *,
        record: UploadRecord | None = None,
    ) -> wire.ObjectDescription | None:
        """Store an object; return its description if the server has sent it.

        Args:
            key: Its key.
            source: Its bytes.
            headers: The headers of its content.
            progress: Is called with numbers of bytes.
            record: Where to record an upload in parts, so that it can be continued; without one it
                is given up when it fails.

        Raises:
            CloudException: When the server refuses it, or the bytes change while they are sent.
        """
        size = source.size
        if size > wire.WHOLE_OBJECT_BYTES:
            return self._put_parts(key, source, headers, progress, record)
        if size <= wire.INLINE_OBJECT_BYTES:
            data = source.read_at(0, size)
            source.check_unchanged()
            stored = self._small.put(key, data, headers)
        else:
            stored = self._put_whole(key, source, headers)
        progress(size)
        return stored

    def _put_whole(
        self, key: str, source: Source, headers: dict[str, str]
    ) -> wire.ObjectDescription | None:
        md5 = md5_of(source)
        source.check_unchanged()
        body = wire.PutObjectRequest(key=key, size=source.size, md5=md5, headers=headers)
        answer = self._transport.post("/v1/bucket/put", body, wire.ObjectPut)
        if answer.target is not None:
            target, whole = answer.target, SourceRange(source, 0, source.size)
            try:
                self._transport.put(target.url, whole, target.headers)
            except CloudException:
                # The server refuses other bytes than those whose MD5 was announced.
                source.check_unchanged()
                raise
        return answer.stored

    def _put_parts(
        self,
        key: str,
        source: Source,
        headers: dict[str, str],
        progress: Progress,
        record: UploadRecord | None,
    ) -> wire.ObjectDescription:
        started = record.read(source.size, source.modified_ns) if record else None
        parts = self._sent_parts(key, started)
        if started is None or parts is None:
            body = wire.PutObjectRequest(key=key, size=source.size, md5="", headers=headers)
            answer = self._transport.post("/v1/bucket/put", body, wire.ObjectPut)
            started = SendingUpload(
                answer.upload, answer.part_bytes, source.size, source.modified_ns
            )
            parts = {}
            if record:
                record.write(started)
        try:
            parts_upload = _PartsUpload(self._transport, key, source, started, parts)
            stored = parts_upload.send(progress)
        except BaseException:
            if record is None:
                self._abort(key, started.upload)
            raise
        if record:
            record.remove()
        return stored

    def _sent_parts(
        self, key: str, started: SendingUpload | None
    ) -> dict[int, wire.SentPart] | None:
        """Return the parts of an earlier upload by number; None if it no longer exists."""
        if started is None:
            return None
        body = wire.ListPartsRequest(key=key, upload=started.upload)
        try:
            listed = self._transport.post("/v1/bucket/uploaded", body, wire.PartsListed)
        except CloudException as error:
            if error.code != UPLOAD_NOT_FOUND:
                raise
            return None
        return {part.number: part for part in listed.parts}

    def _abort(self, key: str, upload: str) -> None:
        abort = wire.AbortUploadRequest(key=key, upload=upload)
        with suppress(CloudException):  # the error that ended the upload says more
            self._transport.post("/v1/bucket/abort", abort, Answer)


class _PartsUpload:
    """Sends the parts of one upload in threads; those sent before are only checked."""

    def __init__(
        self,
        transport: Transport,
        key: str,
        source: Source,
        started: SendingUpload,
        sent: Mapping[int, wire.SentPart],
    ) -> None:
        self._transport = transport
        self._key = key
        self._source = source
        self._started = started
        self._sent = sent
        self._stopped = False

    def send(self, progress: Progress) -> wire.ObjectDescription:
        """Send the parts, and store the object."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few need it

        def send_part(number: int) -> str:
            md5, size = self._send_part(number)
            progress(size)
            return md5

        count = -(-self._source.size // self._started.part_bytes)
        with ThreadPoolExecutor(IN_PARALLEL + 1, "picloud-upload") as threads:
            try:
                whole = threads.submit(self._md5)
                parts = list(threads.map(send_part, range(1, count + 1)))
                md5 = whole.result()
            except BaseException:
                self._stopped = True
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        self._source.check_unchanged()
        finish = wire.FinishUploadRequest(
            key=self._key, upload=self._started.upload, parts=parts, md5=md5
        )
        return self._transport.post("/v1/bucket/finish", finish, wire.ObjectDescription)

    def _send_part(self, number: int) -> tuple[str, int]:
        """Send a part, unless it was sent before with the same bytes; return its MD5 and size."""
        start = (number - 1) * self._started.part_bytes
        size = min(self._started.part_bytes, self._source.size - start)
        before = self._sent.get(number)
        if (
            before is not None
            and before.size == size
            and before.md5 == md5_of(self._source, start, size)
        ):
            return before.md5, size
        part = wire.PutPartRequest(
            key=self._key, upload=self._started.upload, number=number, size=size
        )
        target = self._transport.post("/v1/bucket/parts", part, wire.PartTarget).target
        sent = HashedRange(self._source, start, size)
        self._transport.put(target.url, sent, target.headers)
        return sent.md5(), size

    def _md5(self) -> str:
        """Return the MD5 of the whole; another thread computes it while the parts are sent."""
        digest = hashlib.md5(usedforsecurity=False)
        at = 0
        while at < self._source.size and not self._stopped:
            block = self._source.read_at(at, min(_BLOCK_BYTES, self._source.size - at))
            digest.update(block)
            at += len(block)
        return digest.hexdigest()
