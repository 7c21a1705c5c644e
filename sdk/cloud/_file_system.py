"""Your bucket as a file system of fsspec: `picloud://data/x.parquet`.

fsspec finds it by an entry point, so that pandas, pyarrow, Dask and others open such URLs. Nothing
is remembered between calls: each sees what was put a moment ago, in scripts and in jobs.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Final

from fsspec import AbstractFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import isfilelike

from cloud._arguments.object_path import key_of
from cloud._client.current import bucket
from cloud._resources.bucket import NOT_FOUND
from cloud._resources.object_download import pieces
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsspec.callbacks import Callback
    from picloud_model.wire.bucket import ListedObject, ObjectDescription

    from cloud._resources.object_download import OpenedVersion

BLOCK_BYTES: Final = 1024 * 1024
"""How many bytes a file requests at a time, unless `block_size` says otherwise."""


class PiCloudFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The objects of your account: a path is a key, and what has a `/` after a path is below it.

    Folders exist as long as there are objects in them; `mkdir` stores nothing.

    >>> import fsspec
    >>> with fsspec.open("picloud://notes/a.txt", "w") as file:
    ...     _ = file.write("one")
    >>> fsspec.filesystem("picloud").ls("notes", detail=False)
    ['notes/a.txt']
    """

    protocol = "picloud"
    root_marker = ""

    # --- looking ----------------------------------------------------------------------------------

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return name, type, size and time of an object or a folder.

        Raises:
            FileNotFoundError: When there is neither.
        """
        del kwargs
        path = self._strip_protocol(path)
        if not path:
            return _folder(path)
        known = bucket().path(key_of(path, None))
        if known.object is not None:
            headers, md5 = known.object.headers, known.object.md5
            return {**_file(known.object), "headers": headers, "md5": md5}
        if not known.folder:
            raise _missing(path)
        return _folder(path)

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """Return what is in a folder, or the file of this name.

        Raises:
            FileNotFoundError: When there is neither.
        """
        del kwargs
        path = self._strip_protocol(path)
        prefix = f"{path}/" if path else ""
        listed = list(_listed(prefix))
        entries = [entry for entry in listed if entry["name"] != prefix]
        if not listed and path:
            entry = self.info(path)
            entries = [entry] if entry["type"] == "file" else []
        return entries if detail else [entry["name"] for entry in entries]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,
        detail: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Return all files below a folder, in the order of their bytes."""
        if maxdepth is not None or withdirs:
            return super().find(path, maxdepth, withdirs, detail, **kwargs)
        path = self._strip_protocol(path)
        objects = bucket().objects(f"{path}/" if path else "")
        found = {each.key: _file(each) for each in objects if not each.key.endswith("/")}
        if not found and path:
            with contextlib.suppress(FileNotFoundError):
                entry = self.info(path)
                found = {path: entry} if entry["type"] == "file" else {}
        return found if detail else list(found)

    def created(self, path: str) -> datetime:
        """Return when an object was stored, as `modified` does."""
        return self.modified(path)

    def modified(self, path: str) -> datetime:
        """Return when an object was stored."""
        stored: datetime = self.info(path)["LastModified"]
        return stored

    def checksum(self, path: str) -> str:
        """Return a text that changes with the content of an object."""
        return str(self.info(path)["ETag"])

    # --- bytes ------------------------------------------------------------------------------------

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return bytes `start .. end-1` of an object; negative ones count from its end."""
        del kwargs
        version = _open(self._strip_protocol(path))
        first, last, _ = slice(start, end).indices(version.object.size)
        return version.read(first, max(first, last))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store bytes as an object; with `mode="create"` only if there is none."""
        del kwargs
        self._check_mode(path, mode)
        bucket().put_object(value, key_of(self._strip_protocol(path), None))

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write an object to a file, in parallel parts if it is large."""
        del kwargs
        rpath = self._strip_protocol(rpath)
        if outfile is not None or isfilelike(lpath):
            version = _open(rpath)
            for piece in pieces(version, 0, version.object.size):
                (outfile or lpath).write(piece)
                callback.relative_update(len(piece))
            return
        if self.isdir(rpath):
            os.makedirs(lpath, exist_ok=True)  # noqa: PTH103 - a path may be of any kind
            return
        os.makedirs(os.path.dirname(lpath) or ".", exist_ok=True)  # noqa: PTH103, PTH120
        with _file_errors(rpath):
            bucket().get_file(key_of(rpath, None), lpath, progress=callback.relative_update)

    def put_file(
        self,
        lpath: Any,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Store a file, in parallel parts if it is large; a folder stores nothing."""
        del kwargs
        self._check_mode(rpath, mode)
        if not os.path.isdir(lpath):  # noqa: PTH112 - a path may be of any kind
            key = key_of(self._strip_protocol(rpath), None)
            bucket().put_file(lpath, key, callback.relative_update)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object where it is stored; a folder copies nothing."""
        del kwargs
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        try:
            with _file_errors(source):
                bucket().copy(key_of(source, None), key_of(target, None))
        except FileNotFoundError:
            if not self.isdir(source):
                raise

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove objects, and with `recursive` all below folders.

        Raises:
            FileNotFoundError: When nothing has such a name.
        """
        paths = self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        names = [name for name in paths if name]
        missing = [] if recursive else [name for name in names if not self.exists(name)]
        if missing:
            raise _missing(missing[0])
        bucket().remove([key for name in names for key in (name, f"{name}/")])

    def _rm(self, path: str) -> None:
        bucket().remove([key_of(self._strip_protocol(path), None)])

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        self._rm(path)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Do nothing: a folder exists once an object is in it."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: a folder exists once an object is in it."""

    def rmdir(self, path: str) -> None:
        """Remove a folder that a program has made in `/bucket`.

        Raises:
            OSError: When an object is in it.
        """
        path = self._strip_protocol(path)
        if path and self.ls(path):
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
        if path:
            bucket().remove([f"{path}/"])

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> BucketFile:
        if "x" in mode:
            self._check_mode(path, "create")
        return BucketFile(
            self,
            path,
            mode=mode,
            block_size=block_size or BLOCK_BYTES,
            autocommit=autocommit,
            cache_options=cache_options,
            **kwargs,
        )

    def _check_mode(self, path: str, mode: str) -> None:
        if mode == "create" and self.exists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)


class BucketFile(AbstractBufferedFile):  # type: ignore[misc]
    """An object that is open: one version for reading, or a copy that `close` stores as a whole."""

    def __init__(self, fs: PiCloudFileSystem, path: str, mode: str = "rb", **kwargs: Any) -> None:
        self._version: OpenedVersion | None = None
        self._copy: IO[bytes] | None = None
        if mode == "rb":
            self._version = _open(path)
            kwargs["size"] = self._version.object.size
        super().__init__(fs, path, mode, **kwargs)
        if mode == "ab" and fs.exists(path):
            self.loc = fs.info(path)["size"]

    def commit(self) -> None:
        """Store what was written."""
        if self._copy is not None:
            self._copy.seek(0)
            bucket().put_object(self._copy, key_of(self.path, None))
        self.discard()

    def discard(self) -> None:
        """Forget what was written."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()

    def close(self) -> None:
        """Store what was written, unless a transaction does it later."""
        try:
            super().close()
        except BaseException:
            self.discard()
            raise

    def _initiate_upload(self) -> None:
        self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - until it is stored
        if self.mode == "ab" and self.fs.exists(self.path):
            version = _open(self.path)
            for start in range(0, version.object.size, BLOCK_BYTES):
                self._copy.write(version.read(start, min(start + BLOCK_BYTES, version.object.size)))

    def _upload_chunk(self, final: bool = False) -> bool:
        if self._copy is not None:
            self._copy.write(self.buffer.getvalue())
        if final and self.autocommit:
            self.commit()
        return True

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._version.read(start, min(end, self.size)) if self._version else b""


def _listed(prefix: str) -> Iterator[dict[str, Any]]:
    """Yield what is in a folder, with the object that stands for the folder itself, if any."""
    marker, truncated = "", True
    while truncated:
        page = bucket().page(prefix, marker, 1000, folderize=True)
        yield from (_file(each) for each in page.objects)
        yield from (_folder(name[:-1]) for name in page.folders)
        truncated = page.truncated
        names = [each.key for each in page.objects] + page.folders
        marker = max(names, key=str.encode, default=marker)


def _open(path: str) -> OpenedVersion:
    with _file_errors(path):
        return bucket().open(key_of(path, None))


def _file(found: ObjectDescription | ListedObject) -> dict[str, Any]:
    stored = datetime.fromtimestamp(found.modified_at, UTC)
    return {
        "name": found.key,
        "size": found.size,
        "type": "file",
        "ETag": found.etag,
        "LastModified": stored,
    }


def _folder(path: str) -> dict[str, Any]:
    return {"name": path, "size": 0, "type": "directory"}


@contextlib.contextmanager
def _file_errors(path: str) -> Iterator[None]:
    """Raise `FileNotFoundError` for a missing object, as programs that use files expect."""
    try:
        yield
    except CloudException as error:
        if error.code != NOT_FOUND:
            raise
        raise _missing(path) from error


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
