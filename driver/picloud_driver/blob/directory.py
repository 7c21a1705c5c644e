"""Blobs as files below a directory: the adapter of the embedded stack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import BlobMissing, RequestRefused, Unavailable

from picloud_driver import disk
from picloud_driver.blob.name import checked_name, is_name
from picloud_driver.blob.port import BlobFiles, BlobPort, BlobTotals, Presigned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

# A call in a thread costs about 50 us and, on a busy machine, a turn of the interpreter lock.
# Reading 1 MiB from the page cache takes 40 us, writing 256 KiB 85 us, and writing 1 MiB 2,500 us.
_INLINE_READ: Final = 1024 * 1024
_INLINE_WRITE: Final = 256 * 1024
_INLINE_LOOKS: Final = 64


class DirectoryBlobs(BlobPort):
    """Keeps each blob as a separate file that only the server's user can read.

    A blob is written under a temporary name and then linked to its own name, which the file system
    refuses if the name is taken: of several writers in any processes, one wins. `a/b` is in a
    directory `a+`, so that a blob `a` can exist, too. Directories are not sharded further, as
    current file systems find one name among a million quickly.

    Args:
        root: The directory of the blobs; made if missing.
        sync: Whether a completed `put` survives power loss, and not only the end of the process.

    Raises:
        Unavailable: When the directory cannot be used.

    >>> import asyncio, pathlib, tempfile
    >>> async def example(root):
    ...     blobs = DirectoryBlobs(root)
    ...     return await blobs.put("a/b", b"bytes"), await blobs.get("a/b", 1, 3)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     asyncio.run(example(pathlib.Path(root)))
    (True, b'yt')
    """

    adapter: ClassVar[str] = "directory"

    def __init__(self, root: Path, *, sync: bool = False) -> None:
        self._root = root
        self._blobs = f"{root}{os.sep}blobs{os.sep}"
        self._new = f"{root}{os.sep}new{os.sep}"
        self._incoming = f"{root}{os.sep}incoming{os.sep}"
        self._sync = sync
        with disk.faults(root):
            disk.private_directory(root / "blobs")
            disk.private_directory(root / "new")
            disk.private_directory(root / "incoming")
            for leftover in disk.stale(root / "new"):
                leftover.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"DirectoryBlobs({str(self._root)!r})"

    async def put(self, name: str, data: bytes) -> bool:
        """See `BlobPort.put`."""
        path = self._path(name)
        if len(data) <= _INLINE_WRITE and not self._sync:
            return self._write(path, data)
        return await asyncio.to_thread(self._write, path, data)

    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """See `BlobPort.get`; a range that extends past the end is cut off there."""
        path = self._path(name)
        if start < 0 or (end is not None and end < 0):
            message = f"A range of a blob begins and ends at 0 or later, not {start} to {end}."
            raise RequestRefused(message)
        size = self._size(path)
        if size is None:
            raise BlobMissing(f"There is no blob {name}.")
        length = (size if end is None else min(size, end)) - start
        if length <= _INLINE_READ:
            return self._read(name, start, length)
        return await asyncio.to_thread(self._read, name, start, length)

    async def size(self, name: str) -> int:
        """See `BlobPort.size`."""
        size = self._size(self._path(name))
        if size is None:
            raise BlobMissing(f"There is no blob {name}.")
        return size

    async def missing(self, names: Sequence[str]) -> list[str]:
        """See `BlobPort.missing`."""
        paths = [(name, self._path(name)) for name in names]
        if len(paths) <= _INLINE_LOOKS:
            return self._look(paths)
        return await asyncio.to_thread(self._look, paths)

    async def delete(self, name: str) -> None:
        """See `BlobPort.delete`."""
        await asyncio.to_thread(self._unlink, self._path(name))

    async def names(self, prefix: str) -> AsyncIterator[str]:
        """See `BlobPort.names`; each directory is listed in a thread when it is reached."""
        head, slash, tail = prefix.rpartition("/")
        if slash and not is_name(head):
            return
        stack = [iter(await asyncio.to_thread(self._list, head + slash, tail))]
        while stack:
            name = next(stack[-1], None)
            if name is None:
                stack.pop()
            elif name.endswith("/"):
                stack.append(iter(await asyncio.to_thread(self._list, name, "")))
            else:
                yield name

    async def usage(self, prefix: str) -> BlobTotals:
        """See `BlobPort.usage`; looks at each file, in a thread."""
        names = [name async for name in self.names(prefix)]
        sizes = await asyncio.to_thread(lambda: [self._size(self._path(name)) for name in names])
        present = [size for size in sizes if size is not None]
        return BlobTotals(len(present), sum(present))

    async def presign_put(self, name: str, size: int, digest: str) -> Presigned | None:  # noqa: ARG002
        """Return None: clients write through the API."""
        checked_name(name)
        return None

    async def presign_get(self, name: str) -> Presigned | None:
        """Return None: clients read through the API."""
        checked_name(name)
        return None

    async def files(self, folder: str) -> BlobFiles | None:
        """See `BlobPort.files`; what was left there and not adopted for a day is removed."""
        checked_name(folder)
        with disk.faults(self._root):
            self._check_mounted()
            incoming = Path(self._incoming, folder)
            disk.private_directory(incoming)
            for leftover in disk.stale(incoming):
                leftover.unlink(missing_ok=True)
            proof = token_hex(16)
            try:
                disk.write_new(incoming / "proof", proof.encode(), sync=False)
            except FileExistsError:
                proof = (incoming / "proof").read_text(encoding="ascii")
        return BlobFiles(self._path(f"{folder}/x")[:-1], f"{incoming}{os.sep}", proof)

    async def adopt(self, name: str, size: int) -> bool:
        """See `BlobPort.adopt`."""
        path, left = self._path(name), self._incoming + checked_name(name)
        if self._sync:
            return await asyncio.to_thread(self._adopt, path, left, size)
        return self._adopt(path, left, size)

    def _adopt(self, path: str, left: str, size: int) -> bool:
        with disk.faults(self._root):
            try:
                opened = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:  # it is not there, or not ours
                return self._size(path) is not None
            try:
                found = os.fstat(opened)
                own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
                if not own or found.st_size != size:
                    return self._size(path) is not None
                if self._sync:
                    os.fsync(opened)
                self._link(left, path)
                if self._sync:
                    disk.sync_directory(os.path.dirname(path))  # noqa: PTH120
            finally:
                os.close(opened)
                self._unlink(left)
        return True

    async def ping(self) -> None:
        """See `BlobPort.ping`."""
        with disk.faults(self._root):
            os.scandir(self._blobs).close()

    async def close(self) -> None:
        """See `BlobPort.close`; nothing is open between calls."""

    def _path(self, name: str) -> str:
        return self._blobs + checked_name(name).replace("/", f"+{os.sep}")

    def _write(self, path: str, data: bytes) -> bool:
        temporary = self._new + token_hex(16)
        try:
            try:
                # This only saves a write; the link decides which of several writers wins.
                written = not os.path.exists(path)  # noqa: PTH110 - a Path costs 5 times as much
                if written:
                    disk.write_new(temporary, data, sync=self._sync)
                    written = self._link(temporary, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(temporary)  # noqa: PTH108
            if self._sync:
                disk.sync_directory(os.path.dirname(path))  # noqa: PTH120
        except OSError as fault:
            raise disk.refusal_of_bytes(fault, self._root, len(data)) from fault
        return written

    def _link(self, temporary: str, path: str) -> bool:
        try:
            try:
                os.link(temporary, path)
            except FileNotFoundError:
                self._make_parents(path)
                os.link(temporary, path)
        except FileExistsError:
            return False
        return True

    def _make_parents(self, path: str) -> None:
        # Empty directories are kept: removing one would race with a writer's link.
        self._check_mounted()
        at = len(self._blobs)
        while (at := path.find(os.sep, at) + 1) > 0:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path[:at], disk.PRIVATE_DIRECTORY)  # noqa: PTH102
            if self._sync:
                disk.sync_directory(os.path.dirname(path[: at - 1]))  # noqa: PTH120

    def _size(self, path: str) -> int | None:
        with disk.faults(self._root):
            try:
                return os.stat(path).st_size  # noqa: PTH116
            except FileNotFoundError:
                self._check_mounted()
                return None

    def _check_mounted(self) -> None:
        """Raise `Unavailable` if the whole directory is missing, and not only a blob."""
        if not os.path.isdir(self._blobs):  # noqa: PTH112
            raise Unavailable(f"{self._root}: the directory is gone; is the disk mounted?")

    def _read(self, name: str, start: int, length: int) -> bytes:
        chunks = []
        with disk.faults(self._root):
            try:
                opened = os.open(self._path(name), os.O_RDONLY)
            except FileNotFoundError:
                raise BlobMissing(f"There is no blob {name}.") from None
            try:
                # One read returns at most 2 GiB and may return less.
                while length > 0 and (chunk := os.pread(opened, length, start)):
                    chunks.append(chunk)
                    start += len(chunk)
                    length -= len(chunk)
            finally:
                os.close(opened)
        return b"".join(chunks)

    def _look(self, paths: Sequence[tuple[str, str]]) -> list[str]:
        absent = []
        with disk.faults(self._root):
            for name, path in paths:
                try:
                    os.stat(path)  # noqa: PTH116
                except FileNotFoundError:
                    absent.append(name)
        if absent:
            self._check_mounted()
        return absent

    def _unlink(self, path: str) -> None:
        with disk.faults(self._root):
            try:
                os.unlink(path)  # noqa: PTH108
            except FileNotFoundError:
                self._check_mounted()

    def _list(self, parents: str, begin: str) -> list[str]:
        """Return the names in a directory, ascending; a subdirectory ends with `/`."""
        path = self._blobs + parents.replace("/", f"+{os.sep}")
        with disk.faults(self._root):
            try:
                entries = os.listdir(path)  # noqa: PTH208
            except FileNotFoundError:
                self._check_mounted()
                return []
        # No name contains `+`, so it marks a directory without a call of `stat`.
        marked = (entry[:-1] + "/" if entry.endswith("+") else entry for entry in entries)
        return sorted(parents + entry for entry in marked if entry.startswith(begin))
