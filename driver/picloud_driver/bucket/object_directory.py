"""The files of a directory store: objects, new files, and uploads in parts. It blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import ObjectChanged, ObjectNotFound, UploadNotFound

from picloud_driver import disk
from picloud_driver.bucket.key import decoded_folder, encoded
from picloud_driver.bucket.object_file import NewFile, ObjectFile
from picloud_driver.bucket.port import ObjectPart, ObjectProperties, WriteCondition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_UPLOAD: Final = re.compile(r"[0-9a-f]{32}")
_START: Final = "start"


class StartedUpload(msgspec.Struct, frozen=True):
    """What a directory keeps about an upload, besides its parts."""

    key: str
    properties: ObjectProperties


class ObjectDirectory:
    """The files below a root. Every method may raise `OSError`.

    Objects are below `objects/<account>/`, files without a name yet in `new/`, and the parts of
    uploads in `uploads/<account>/<upload>/`.

    Args:
        root: The directory; made if missing.
        sync: Whether what was written survives power loss.
    """

    def __init__(self, root: Path, *, sync: bool) -> None:
        self._root = f"{root}{os.sep}"
        self.sync = sync
        for name in ("objects", "new", "uploads"):
            disk.private_directory(root / name)
        for leftover in disk.stale(root / "new"):
            leftover.unlink(missing_ok=True)

    def new_file(self) -> NewFile:
        """Return a new file without a name; `place` or `place_part` gives it one."""
        return NewFile(f"{self._root}new{os.sep}{token_hex(16)}")

    def open(self, account: str, key: str) -> ObjectFile:
        """Return the open file of an object."""
        try:
            return ObjectFile(self._object(account, key))
        except FileNotFoundError:
            self._check_mounted()
            message = f"There is no object {key!r} in your bucket."
            raise ObjectNotFound(message, field="key") from None

    def place(self, new: NewFile, account: str, key: str, condition: WriteCondition) -> None:
        """Make a complete file the object of a key, if the condition holds."""
        path = self._object(account, key)
        with self._locked():
            self._check(path, key, condition)
            self._make_parents(path)
            os.rename(new.path, path)  # noqa: PTH104 - as in blobs
        if self.sync:
            disk.sync_directory(os.path.dirname(path))  # noqa: PTH120

    def remove(self, account: str, keys: Sequence[str]) -> None:
        """Remove objects, and the directories that are then empty."""
        with self._locked():
            for key in keys:
                path = self._object(account, key)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108
                    self._remove_empty(os.path.dirname(path), account)  # noqa: PTH120

    def paths(self, account: str, prefix: str, after: str, *, folders: bool) -> Iterator[str]:
        """Yield the paths of objects, and of folders with a `/` at the end, ascending.

        Args:
            account: Whose objects.
            prefix: How paths begin.
            after: Only greater paths are yielded.
            folders: Whether to yield a folder after the prefix instead of what is in it.
        """
        top = f"{self._root}objects{os.sep}{account}{os.sep}"
        self._check_mounted()
        stack = [iter(_names(top, ""))]
        while stack:
            path = next(stack[-1], None)
            if path is None:
                stack.pop()
            elif not path.endswith("/"):
                if path > after and path.startswith(prefix):
                    yield path
            elif folders and _is_folder(path, prefix):
                if path > after and _has_objects(top, path):
                    yield path
            elif (path.startswith(prefix) or prefix.startswith(path)) and (
                path > after or after.startswith(path)
            ):
                stack.append(iter(_names(top, path)))

    def start_upload(self, account: str, started: StartedUpload) -> str:
        """Return the id of a new upload."""
        upload = token_hex(16)
        directory = self._uploads(account, upload)
        self._make_parents(f"{directory}{os.sep}{_START}")
        disk.write_new(
            f"{directory}{os.sep}{_START}", msgspec.msgpack.encode(started), sync=self.sync
        )
        return upload

    def upload(self, account: str, key: str, upload: str) -> StartedUpload:
        """Return what is kept about an upload."""
        try:
            with open(f"{self._uploads(account, upload)}{os.sep}{_START}", "rb") as file:  # noqa: PTH123
                started = _STARTED.decode(file.read())
        except FileNotFoundError:
            self._check_mounted()
            raise UploadNotFound from None
        if started.key != key:
            raise UploadNotFound
        return started

    def place_part(self, new: NewFile, account: str, upload: str, number: int) -> None:
        """Make a complete file a part of an upload."""
        directory = self._uploads(account, upload)
        try:
            os.rename(new.path, f"{directory}{os.sep}{number}")  # noqa: PTH104
        except FileNotFoundError:
            raise UploadNotFound from None
        if self.sync:
            disk.sync_directory(directory)

    def parts(self, account: str, upload: str) -> list[ObjectPart]:
        """Return the parts of an upload, ascending."""
        directory = self._uploads(account, upload)
        numbers = sorted(int(name) for name in os.listdir(directory) if name != _START)  # noqa: PTH208
        parts = []
        for number in numbers:
            with contextlib.closing(ObjectFile(f"{directory}{os.sep}{number}")) as file:
                parts.append(ObjectPart(number, file.record.etag, file.size))
        return parts

    def open_parts(
        self, account: str, upload: str, parts: Iterable[ObjectPart]
    ) -> Iterator[ObjectFile]:
        """Yield the open file of each part, and close it when the next is taken."""
        for part in parts:
            path = f"{self._uploads(account, upload)}{os.sep}{part.number}"
            with contextlib.closing(ObjectFile(path)) as file:
                yield file

    def remove_upload(self, account: str, upload: str) -> None:
        """Remove an upload and its parts, if it exists."""
        directory = self._uploads(account, upload)
        with contextlib.suppress(FileNotFoundError):
            # First, as an upload without it does not exist.
            os.unlink(f"{directory}{os.sep}{_START}")  # noqa: PTH108
            shutil.rmtree(directory)

    def unfinished_bytes(self, account: str) -> int:
        """Return how many bytes the parts of all uploads of an account have."""
        size = 0
        with contextlib.suppress(FileNotFoundError):  # an account without uploads has no directory
            for upload in os.listdir(f"{self._root}uploads{os.sep}{account}"):  # noqa: PTH208
                with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
                    size += sum(part.size for part in self.parts(account, upload))
        return size

    def remove_old_uploads(self, before: float) -> int:
        """Remove uploads whose last part was written before a time; return how many."""
        top, count = f"{self._root}uploads", 0
        for account in os.listdir(top):  # noqa: PTH208
            for upload in os.listdir(f"{top}{os.sep}{account}"):  # noqa: PTH208
                with contextlib.suppress(FileNotFoundError):
                    # Each new part changes its directory.
                    if os.stat(self._uploads(account, upload)).st_mtime < before:  # noqa: PTH116
                        self.remove_upload(account, upload)
                        count += 1
        return count

    def _object(self, account: str, key: str) -> str:
        return f"{self._root}objects{os.sep}{account}{os.sep}{encoded(key)}"

    def _uploads(self, account: str, upload: str) -> str:
        if not _UPLOAD.fullmatch(upload):
            raise UploadNotFound
        return f"{self._root}uploads{os.sep}{account}{os.sep}{upload}"

    def _check(self, path: str, key: str, condition: WriteCondition) -> None:
        if condition.absent and os.path.exists(path):  # noqa: PTH110
            raise ObjectChanged(f"There is an object {key!r} already.")
        if condition.etag:
            try:
                with contextlib.closing(ObjectFile(path)) as file:
                    etag = file.record.etag
            except FileNotFoundError:
                etag = ""
            if etag != condition.etag:
                raise ObjectChanged(f"The object {key!r} was written or removed meanwhile.")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._check_mounted()
        opened = os.open(f"{self._root}lock", os.O_RDWR | os.O_CREAT, disk.PRIVATE_FILE)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            yield
        finally:
            os.close(opened)

    def _make_parents(self, path: str) -> None:
        at = len(self._root)
        while (at := path.find(os.sep, at) + 1) > 0:
            try:
                os.mkdir(path[:at], disk.PRIVATE_DIRECTORY)  # noqa: PTH102
            except FileExistsError:
                continue
            if self.sync:
                disk.sync_directory(os.path.dirname(path[: at - 1]))  # noqa: PTH120

    def _remove_empty(self, directory: str, account: str) -> None:
        top = f"{self._root}objects{os.sep}{account}"
        with contextlib.suppress(OSError):
            while len(directory) > len(top):
                os.rmdir(directory)  # noqa: PTH106
                directory = os.path.dirname(directory)  # noqa: PTH120

    def _check_mounted(self) -> None:
        """Raise `FileNotFoundError` if the whole directory is missing, and not only a file."""
        os.stat(f"{self._root}objects")  # noqa: PTH116


def _names(top: str, path: str) -> list[str]:
    """Return the paths in a directory, ascending; only those of objects end with `%`."""
    try:
        names = os.listdir(top + path)  # noqa: PTH208
    except FileNotFoundError:
        return []
    return sorted(f"{path}{name}" if name.endswith("%") else f"{path}{name}/" for name in names)


def _is_folder(path: str, prefix: str) -> bool:
    """Whether a path goes on after a prefix, up to a `/` of a key."""
    longer = len(path) > len(prefix) and path.startswith(prefix)
    return longer and decoded_folder(path) is not None


def _has_objects(top: str, path: str) -> bool:
    """Whether there is an object below a directory: a crash may have left it empty."""
    paths = [path]
    while paths:
        names = _names(top, paths.pop())
        if not all(name.endswith("/") for name in names):
            return True
        paths.extend(names)
    return False


_STARTED: Final = msgspec.msgpack.Decoder(StartedUpload)
