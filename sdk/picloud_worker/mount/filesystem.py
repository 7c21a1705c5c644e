"""The file system: paths are keys, and what has a `/` after a path is below it.

It shows keys that are valid paths. Where `a` and `a/b` both exist, `a` is the folder. What others
store is seen at the next open or listing; what is remembered for a moment, so that opening a file
takes one request, is in `Glances`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
import time
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mfusepy import FUSE, FuseOSError, Operations

from picloud_worker.mount.errors import system_errors
from picloud_worker.mount.files import Reader, Writer
from picloud_worker.mount.glances import Glance, Glances
from picloud_worker.mount.request import REQUEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from picloud_worker.mount.client import MountClient
    from picloud_worker.mount.files import OpenFile

_NAME_BYTES: Final = 255
_BLOCK: Final = 4096
_FREE_BLOCKS: Final = 2**40

_READABLE, _WRITABLE = 0x100, 0x200  # PyBUF_READ, PyBUF_WRITE
_buffer = ctypes.pythonapi.PyMemoryView_FromMemory
_buffer.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
_buffer.restype = ctypes.py_object

_F = TypeVar("_F", bound="Callable[..., Any]")


def _operation(function: _F) -> _F:
    @wraps(function)
    def run(*arguments: Any, **keywords: Any) -> Any:
        with system_errors():
            return function(*arguments, **keywords)

    return run  # type: ignore[return-value]


class BufferFuse(FUSE):  # type: ignore[misc]
    """Has a file system read and write the buffers of libfuse, of which the library makes copies.

    A buffer is valid until the call returns.
    """

    def read(self, path: bytes, buf: Any, size: int, offset: int, fip: Any) -> int:
        """See `BucketFileSystem.read`."""
        buffer = _buffer(ctypes.addressof(buf.contents), size, _WRITABLE)
        done: int = self.operations.read("", buffer, offset, fip.contents.fh)
        return done

    def write(self, path: bytes, buf: Any, size: int, offset: int, fip: Any) -> int:
        """See `BucketFileSystem.write`."""
        data = _buffer(ctypes.addressof(buf.contents), size, _READABLE)
        done: int = self.operations.write("", data, offset, fip.contents.fh)
        return done


class BucketFileSystem(Operations):  # type: ignore[misc]
    """The objects of an account as files.

    Args:
        client: Reads and writes them.
        directory: Where to keep copies of files that are open for writing.
        owner: The user and group whose the files are.
        mode: The permissions that files have; folders may be searched in addition.
        mounted: Called when it can be used.
    """

    use_ns = True

    def __init__(
        self,
        client: MountClient,
        directory: str,
        owner: tuple[int, int],
        mode: int = 0o644,
        *,
        mounted: Callable[[], None] = lambda: None,
    ) -> None:
        self._client = client
        self._directory = directory
        self._owner = owner
        self._mode = mode
        self._mounted = mounted
        self._lock = threading.Lock()
        self._files: dict[int, OpenFile] = {}
        self._next = 1
        self._glances = Glances()

    def init_with_config(self, conn_info: Any, config_3: Any) -> None:
        """Choose large requests, which cost fewer calls."""
        if conn_info is not None:
            conn_info.max_write = conn_info.max_readahead = REQUEST_BYTES
            if hasattr(conn_info, "max_read"):
                conn_info.max_read = REQUEST_BYTES
        self._mounted()

    # --- looking ----------------------------------------------------------------------------------

    @_operation
    def getattr(self, path: str, fh: int | None = None) -> dict[str, int]:
        """Return mode, size and time."""
        key = _key(path)
        if not key:
            return self._folder()
        if fh is not None and fh in self._files:
            return self._file(self._files[fh].size, self._files[fh].modified)
        written = [file for file in self._open_files(key) if isinstance(file, Writer)]
        if written:
            return self._file(written[-1].size, written[-1].modified)
        glance = self._glances.of(key)
        if glance is None:
            at = time.monotonic()
            found = self._client.find(key)
            glance = self._glances.found(key, found, at)
        if glance is None:
            raise FuseOSError(errno.ENOENT)
        return self._folder() if glance.is_folder else self._file(glance.size, glance.modified)

    @_operation
    def readdir(self, path: str, fh: int) -> Iterator[str]:
        """Yield the names in a folder."""
        prefix = _folder_key(path)
        names = {".": None, "..": None}
        at = time.monotonic()
        listed = {}
        for each in self._client.names(prefix):
            if isinstance(each, str):
                key, glance = each[:-1], Glance(at, is_folder=True)
            else:
                key, glance = each.key, Glance(at, each.size, each.modified_at)
            name = key[len(prefix) :]
            if _is_name(name):
                names[name] = None
                # A folder comes after the object of its name, and stays.
                listed[key] = glance
        for file in self._open_files():
            name = file.key[len(prefix) :]
            if file.key.startswith(prefix) and _is_name(name):
                names[name] = None
        self._glances.listed(listed, at)
        return iter(names)

    @_operation
    def statfs(self, path: str) -> dict[str, int]:
        """Return that there is a lot of room."""
        return {
            "f_bsize": _BLOCK,
            "f_frsize": _BLOCK,
            "f_blocks": _FREE_BLOCKS,
            "f_bfree": _FREE_BLOCKS,
            "f_bavail": _FREE_BLOCKS,
            "f_namemax": _NAME_BYTES,
        }

    # --- files ------------------------------------------------------------------------------------

    @_operation
    def open(self, path: str, flags: int) -> int:
        """Open a file: ranges are fetched when they are read, and a copy is made to write."""
        key = _key(path)
        if flags & os.O_ACCMODE == os.O_RDONLY:
            at = time.monotonic()
            opened = self._glances.opened(key) or self._client.open(key)
            self._glances.open(opened, at)
            return self._add(Reader(self._client, opened))
        return self._add(self._writer(key, flags))

    @_operation
    def create(self, path: str, mode: int, fi: Any = None) -> int:
        """Make a file, which is stored when it is closed."""
        key = _key(path)
        if len(key.rpartition("/")[2].encode()) > _NAME_BYTES:
            raise FuseOSError(errno.ENAMETOOLONG)
        return self._add(self._writer(key, os.O_TRUNC))

    @_operation
    def read(self, path: str, buffer: memoryview, offset: int, fh: int) -> int:
        """Read bytes of an open file into a buffer; return how many."""
        return self._files[fh].read(buffer, offset)

    @_operation
    def write(self, path: str, data: bytes | memoryview, offset: int, fh: int) -> int:
        """Write to an open file."""
        return self._files[fh].write(data, offset)

    @_operation
    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        """Change the length of a file, and store it unless it is open."""
        if fh is not None and fh in self._files:
            self._files[fh].truncate(length)
            return 0
        file = self._writer(_key(path), 0 if length else os.O_TRUNC)
        try:
            file.truncate(length)
            self._store(file)
        finally:
            file.close()
        return 0

    @_operation
    def flush(self, path: str, fh: int) -> int:
        """Store a file when it is closed: an error is the error of `close`."""
        self._store(self._files[fh])
        return 0

    @_operation
    def fsync(self, path: str, datasync: int, fh: int) -> int:
        """Store a file."""
        self._store(self._files[fh])
        return 0

    @_operation
    def release(self, path: str, fh: int) -> int:
        """Forget a file, after `flush`."""
        with self._lock:
            file = self._files.pop(fh, None)
        if file:
            file.close()
        return 0

    @_operation
    def unlink(self, path: str) -> int:
        """Remove an object."""
        self._client.remove([_key(path)])
        self._glances.removed(_key(path))
        return 0

    # --- folders and names ------------------------------------------------------------------------

    @_operation
    def mkdir(self, path: str, mode: int) -> int:
        """Make a folder: an empty object whose key ends with a `/`."""
        with open(os.devnull, "rb") as nothing:  # noqa: PTH123
            self._client.write(f"{_key(path)}/", nothing, 0, {})
        self._glances.stored()
        return 0

    @_operation
    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""
        folder = _folder_key(path)
        if any(key != folder for key in self._client.first(folder, 2)):
            raise FuseOSError(errno.ENOTEMPTY)
        self._client.remove([folder])
        self._glances.removed(_key(path))
        return 0

    @_operation
    def rename(self, old: str, new: str) -> int:
        """Copy an object, or all in a folder, and then remove what was copied."""
        try:
            self._rename(_key(old), _key(new))
        finally:
            self._glances.removed()
        return 0

    @_operation
    def chmod(self, path: str, mode: int) -> int:
        """Accept it: objects have no permissions of their own."""
        return 0

    @_operation
    def chown(self, path: str, uid: int, gid: int) -> int:
        """Accept it: objects have no owner of their own."""
        return 0

    @_operation
    def utimens(self, path: str, times: Any = None) -> int:
        """Accept it: the time of an object is that of its writing."""
        return 0

    def _rename(self, source: str, target: str) -> None:
        found = self._client.find(source)
        if found.folder:
            if target.startswith(f"{source}/"):
                raise FuseOSError(errno.EINVAL)
            if any(key != f"{target}/" for key in self._client.first(f"{target}/", 2)):
                raise FuseOSError(errno.ENOTEMPTY)
            self._rename_all(f"{source}/", f"{target}/")
        else:
            moved = self._moved(source, target)
            if found.object is not None:
                self._client.copy(source, target)
                self._client.remove([source])
            elif not moved:
                raise FuseOSError(errno.ENOENT)

    def _rename_all(self, source: str, target: str) -> None:
        for keys in self._client.keys(source):
            for key in keys:
                self._moved(key, target + key[len(source) :])
                self._client.copy(key, target + key[len(source) :])
        # Only now: a copy that fails leaves the folder as it was.
        for keys in self._client.keys(source):
            self._client.remove(keys)

    def _moved(self, source: str, target: str) -> bool:
        """Whether files are open that will now be stored under the new key."""
        files = self._open_files(source)
        for file in files:
            file.key = target
        return bool(files)

    def _writer(self, key: str, flags: int) -> Writer:
        return Writer(
            self._client,
            key,
            empty=bool(flags & os.O_TRUNC),
            appends=bool(flags & os.O_APPEND),
            directory=self._directory,
        )

    def _store(self, file: OpenFile) -> None:
        if file.upload():
            self._glances.stored()

    def _add(self, file: OpenFile) -> int:
        with self._lock:
            number = self._next
            self._next += 1
            self._files[number] = file
        return number

    def _open_files(self, key: str | None = None) -> list[OpenFile]:
        with self._lock:
            return [file for file in self._files.values() if key in (None, file.key)]

    def _folder(self) -> dict[str, int]:
        searchable = self._mode | (self._mode & 0o444) >> 2
        return self._attributes(stat.S_IFDIR | searchable, 0, time.time(), links=2)

    def _file(self, size: int, modified: float) -> dict[str, int]:
        return self._attributes(stat.S_IFREG | self._mode, size, modified, links=1)

    def _attributes(self, mode: int, size: int, modified: float, *, links: int) -> dict[str, int]:
        at = int(modified * 1e9)
        user, group = self._owner
        return {
            "st_mode": mode,
            "st_size": size,
            "st_nlink": links,
            "st_mtime": at,
            "st_ctime": at,
            "st_atime": at,
            "st_uid": user,
            "st_gid": group,
            "st_blocks": (size + 511) // 512,
        }


def _key(path: str) -> str:
    return path[1:]


def _folder_key(path: str) -> str:
    return f"{path[1:]}/" if len(path) > 1 else ""


def _is_name(name: str) -> bool:
    """Whether a name can be in a folder."""
    return (
        name not in {"", ".", ".."}
        and "/" not in name
        and "\0" not in name
        and len(name.encode()) <= _NAME_BYTES
    )
