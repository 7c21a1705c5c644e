"""Files that hold an object: its bytes, then a record about it, then the length of the record.

The record is behind the bytes because their MD5 is known after the last; and in the same file, so
that one rename replaces both.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import threading
from typing import Final

import msgspec

from picloud_driver import disk
from picloud_driver.bucket.port import ObjectEntry, ObjectInfo, ObjectProperties

_LENGTH: Final = 4
_COPY: Final = 8 * 1024**2


class FileRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an object's file says about it."""

    etag: str
    modified: float
    properties: ObjectProperties = ObjectProperties()


class ObjectFile:
    """The open file of an object; close it.

    Args:
        path: Where it is.

    Raises:
        FileNotFoundError: When there is none.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY)
        try:
            end = os.fstat(self._file).st_size - _LENGTH
            length = int.from_bytes(os.pread(self._file, _LENGTH, max(end, 0)), "big")
            self.size = end - length
            self.record = _RECORD.decode(os.pread(self._file, length, max(self.size, 0)))
        except msgspec.MsgspecError as error:
            self.close()
            raise OSError(errno.EIO, f"{path} is damaged") from error
        except BaseException:
            self.close()
            raise

    def entry(self, key: str) -> ObjectEntry:
        """Return the object as a listing has it."""
        record = self.record
        return ObjectEntry(key=key, size=self.size, etag=record.etag, modified=record.modified)

    def info(self, key: str) -> ObjectInfo:
        """Return all that is known of the object."""
        return _info(key, self.size, self.record)

    def read(self, start: int, length: int) -> bytes:
        """Return up to `length` bytes of the object."""
        return os.pread(self._file, max(0, min(length, self.size - start)), start)

    def copy_to(self, target: int) -> None:
        """Write the bytes of the object to the end of another file."""
        at = 0
        while at < self.size:
            at += os.sendfile(target, self._file, at, min(_COPY, self.size - at))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class NewFile:
    """A file that becomes an object once it is complete and renamed; discard it in any case.

    Args:
        path: Where to make it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, disk.PRIVATE_FILE)
        self._md5 = hashlib.md5(usedforsecurity=False)
        # A cancelled request discards the file while a thread may still write to it.
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        with self._lock:
            self._md5.update(data)
            self._append(data)
            self.size += len(data)

    def add(self, file: ObjectFile) -> None:
        """Add the bytes of an object, which `md5` leaves out."""
        with self._lock:
            file.copy_to(self._file)
            self.size += file.size

    @property
    def md5(self) -> str:
        """Return the MD5 of what `write` added, in hex."""
        return self._md5.hexdigest()

    def finish(self, key: str, record: FileRecord, *, sync: bool) -> ObjectInfo:
        """Add the record, write everything to disk if `sync`, and return what is then known."""
        encoded = msgspec.msgpack.encode(record)
        with self._lock:
            self._append(encoded + len(encoded).to_bytes(_LENGTH, "big"))
            if sync:
                os.fsync(self._file)
        return _info(key, self.size, record)

    def discard(self) -> None:
        """Close the file, and remove it unless it was renamed."""
        with self._lock:
            os.close(self._file)
            self._file = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108 - a Path costs 5 times as much

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]


def _info(key: str, size: int, record: FileRecord) -> ObjectInfo:
    return ObjectInfo(
        key=key,
        size=size,
        etag=record.etag,
        modified=record.modified,
        properties=record.properties,
    )


_RECORD: Final = msgspec.msgpack.Decoder(FileRecord)
