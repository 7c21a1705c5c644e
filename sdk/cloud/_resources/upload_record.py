"""Records of uploads that are not finished: a put of the same file goes on with the parts sent.

Each is a file next to the profiles, which is locked while its upload is under way.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Final

import msgspec

from cloud._config import profile
from cloud._config.file_lock import locked
from cloud._config.settings import ClientSettings
from cloud._resources.old_files import remove_old_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_KEPT_S: Final = 7 * 86_400.0
"""After how long a record is removed; by then the server has removed the parts."""


class SendingUpload(msgspec.Struct, frozen=True):
    """An upload, and the file that it is of: another size or time says that the file changed."""

    upload: str
    part_bytes: int
    size: int
    modified_ns: int


class UploadRecord:
    """The record of one file that is stored under one key of one account; it is locked."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path

    def read(self, size: int, modified_ns: int) -> SendingUpload | None:
        """Return the upload that was begun of a file with this size and time, if there is one."""
        self._file.seek(0)
        try:
            started = msgspec.json.decode(self._file.read(), type=SendingUpload)
        except msgspec.MsgspecError:
            return None
        same = (started.size, started.modified_ns) == (size, modified_ns)
        return started if same else None

    def write(self, started: SendingUpload) -> None:
        """Replace what is recorded. An error only means that a repeated put begins anew."""
        with suppress(OSError):
            self._file.seek(0)
            self._file.truncate()
            self._file.write(msgspec.json.encode(started))
            self._file.flush()

    def remove(self) -> None:
        """Remove the record: the upload has ended."""
        with suppress(OSError):
            self._path.unlink()


@contextmanager
def upload_record(*names: str) -> Iterator[UploadRecord | None]:
    """Hold the record of what these names stand for, for the length of a `with` block.

    It is None if another process holds it, or where it cannot be written.
    """
    path = _directory() / f"{sha256(chr(0).join(names).encode()).hexdigest()[:32]}.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        remove_old_files(path.parent, _KEPT_S)
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        yield None
        return
    with os.fdopen(opened, "r+b") as file:
        yield UploadRecord(file, path) if locked(file) else None


def _directory() -> Path:
    return profile.path(ClientSettings.read()).parent / "uploads"
