"""Parts of files by digest, which the jobs of one user share on a machine."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    SizedParts = Sequence[tuple[str, int]]
    """Parts, given by digest and length."""

_SHARE: Final = 10
"""The part of the disk, and of what is free on it, that the cache may have: one in ten."""
_USED_S: Final = 3600.0
"""A part that was used within this time is not marked as used again."""


class PartCache:
    """Keeps parts that were fetched before.

    A part is checked whenever it is read, and copied: a program that changes the cache cannot
    change what is read from it.

    Args:
        directory: Where they are kept; None to keep none.
        most: The bytes to keep; by default a tenth of the disk.
    """

    def __init__(self, directory: Path | None, most: int | None = None) -> None:
        self._directory = directory
        self._most = most
        self._added = False

    @classmethod
    def here(cls) -> PartCache:
        """Return the cache of this user on this machine; in a container it keeps nothing.

        It is on the disk even if `/tmp` is in memory, which would then be missing to jobs.
        """
        if not hasattr(os, "getuid"):
            return cls(None)
        path = Path("/var/tmp") / f"picloud-parts-{os.getuid()}"  # noqa: S108 - checked
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            status = path.lstat()
        except OSError:
            return cls(None)
        own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        return cls(path if own and not status.st_mode & 0o077 else None)

    def fetch(
        self, parts: SizedParts, source: Callable[[SizedParts], Iterator[bytes]]
    ) -> Iterator[bytes]:
        """Yield the bytes of parts, and keep those that come from the source."""
        kept = {part for part in dict.fromkeys(parts) if self._has(*part)}
        fetched = source([part for part in parts if part not in kept])
        for part in parts:
            data = self._read(*part) if part in kept else None
            if data is None:
                data = next(source([part]) if part in kept else fetched)
                self._keep(part[0], data)
            yield data
        if self._added:
            self.trim()

    def trim(self) -> None:
        """Remove the parts that were not used for longest, if they are too many."""
        found: list[tuple[float, int, Path]] = []
        directory = self._directory
        if directory is None:
            return
        with suppress(OSError):
            for path in directory.glob("??/*"):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        size = sum(each[1] for each in found)
        most = self._limit(directory, size)
        for _, length, path in sorted(found):
            if size <= most:
                break
            with suppress(OSError):
                path.unlink()
            size -= length

    def _limit(self, directory: Path, size: int) -> int:
        if self._most is not None:
            return self._most
        disk = os.statvfs(directory)
        free = disk.f_bavail * disk.f_frsize
        return min(disk.f_blocks * disk.f_frsize, free + size) // _SHARE

    def _path(self, digest: str) -> Path | None:
        return None if self._directory is None else self._directory / digest[:2] / digest

    def _has(self, digest: str, length: int) -> bool:
        path = self._path(digest)
        try:
            return path is not None and path.stat().st_size == length
        except OSError:
            return False

    def _read(self, digest: str, length: int) -> bytes | None:
        path = self._path(digest)
        if path is None:
            return None
        try:
            with path.open("rb") as file:
                data = file.read(length + 1)
                unused_s = time.time() - os.fstat(file.fileno()).st_mtime
            if unused_s > _USED_S:
                os.utime(path)
        except OSError:
            return None
        if sha256(data).hexdigest() == digest:
            return data
        with suppress(OSError):
            path.unlink()
        return None

    def _keep(self, digest: str, data: bytes) -> None:
        """Keep a part; an error, such as a full disk, only means that it is fetched again."""
        path = self._path(digest)
        if path is None:
            return
        partial = path.with_name(f".{os.getpid()}-{digest[:16]}")
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
            self._added = True
        except OSError:
            with suppress(OSError):
                partial.unlink()
