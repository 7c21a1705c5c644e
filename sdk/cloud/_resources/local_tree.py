"""Directories of this machine, read into entries of a snapshot and written from them."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.snapshot import FILE, FOLDER, LINK, PART_BYTES_OF_FILES, SnapshotEntry

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloud._resources.digest_cache import DigestCache

_PERMISSIONS: Final = 0o777
_OWN: Final = 0o700


class LocalTree:
    """A directory of this machine.

    Files that are neither regular, nor directories, nor symbolic links are left out.

    Args:
        root: The directory.
        digests: The digests of files that were read before.
    """

    def __init__(self, root: str, digests: DigestCache) -> None:
        self._root = root
        self._digests = digests

    def path(self, name: str) -> str:
        """Return the path of what is below the directory."""
        return os.path.join(self._root, name)  # noqa: PTH118

    def scan(self) -> dict[str, SnapshotEntry]:
        """Return an entry for everything below the directory, by its path there.

        Raises:
            CloudException: When something cannot be read, or changes meanwhile.
        """
        found: dict[str, SnapshotEntry] = {}
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            prefix = f"{folder}/" if folder else ""
            for name, status in self._listed(folder):
                entry = self.entry(f"{prefix}{name}", status)
                if entry is not None:
                    found[entry.path] = entry
                    if entry.kind == FOLDER:
                        waiting.append(entry.path)
        self._digests.save()
        return found

    def _listed(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        path = self.path(folder) if folder else self._root
        try:
            with os.scandir(path) as each:
                for found in each:
                    with suppress(FileNotFoundError):
                        yield found.name, found.stat(follow_symlinks=False)
        except OSError as error:
            raise _unreadable(path, error) from error

    def entry(self, name: str, status: os.stat_result) -> SnapshotEntry | None:
        """Return the entry of one file; None for a kind that is left out.

        Raises:
            CloudException: When it cannot be read, or has a name that is not text.
        """
        path = self.path(name)
        try:
            path.encode()
        except UnicodeEncodeError:
            raise CloudException(f"The name of {path!r:.200} is not UTF-8: rename it.") from None
        mode = stat.S_IMODE(status.st_mode) & _PERMISSIONS
        if stat.S_ISDIR(status.st_mode):
            return SnapshotEntry(path=name, kind=FOLDER, mode=mode, modified_ns=status.st_mtime_ns)
        if stat.S_ISLNK(status.st_mode):
            return self._link(name, status)
        if not stat.S_ISREG(status.st_mode):
            return None
        parts = self._digests.find(name, status)
        if parts is None:
            parts, status = self._read(name)
        return SnapshotEntry(
            path=name,
            kind=FILE,
            mode=mode,
            modified_ns=status.st_mtime_ns,
            size=status.st_size,
            parts=parts,
        )

    def _link(self, name: str, status: os.stat_result) -> SnapshotEntry:
        try:
            target = os.readlink(self.path(name))  # noqa: PTH115
            target.encode()
        except (OSError, UnicodeEncodeError) as error:
            raise _unreadable(self.path(name), error) from error
        return SnapshotEntry(
            path=name,
            kind=LINK,
            mode=_PERMISSIONS,
            modified_ns=status.st_mtime_ns,
            target=target,
        )

    def _read(self, name: str) -> tuple[list[str], os.stat_result]:
        """Return the digests of a file's parts, and its status at that time."""
        read_ns = time.time_ns()
        path = self.path(name)
        parts = []
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                before = os.fstat(file.fileno())
                while data := file.read(PART_BYTES_OF_FILES):
                    parts.append(sha256(data).hexdigest())
                after = os.fstat(file.fileno())
        except OSError as error:
            raise _unreadable(path, error) from error
        unchanged = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
        if not unchanged or len(parts) != -(-after.st_size // PART_BYTES_OF_FILES):
            raise _changed(path)
        self._digests.keep(name, after, parts, read_ns)
        return parts, after

    def part(self, entry: SnapshotEntry, number: int) -> bytes:
        """Return the bytes of a part of a file, as they were scanned.

        Raises:
            CloudException: When the file has changed since.
        """
        path = self.path(entry.path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                file.seek(number * PART_BYTES_OF_FILES)
                data = file.read(PART_BYTES_OF_FILES)
        except OSError as error:
            raise _unreadable(path, error) from error
        if sha256(data).hexdigest() != entry.parts[number]:
            raise _changed(path)
        return data

    def write(
        self,
        wanted: Mapping[str, SnapshotEntry],
        fetch: Callable[[Sequence[tuple[str, int]]], Iterator[bytes]],
        *,
        delete: bool,
    ) -> None:
        """Write entries, of which what is here already is left as it is.

        Args:
            wanted: The entries by their paths, with all directories that they are in.
            fetch: Yields the bytes of parts, given by digest and length.
            delete: Whether to remove what is not wanted.

        Raises:
            CloudException: When something cannot be written.
        """
        try:
            os.makedirs(self._root, exist_ok=True)  # noqa: PTH103
            existing = self.scan()
            if delete:
                for name in sorted(existing.keys() - wanted.keys(), reverse=True):
                    self._remove(name)
            self._make(wanted, existing)
            self._fill(wanted, existing, fetch)
            self._settle(wanted)
        except OSError as error:
            where = error.filename or self._root
            raise CloudException(
                f"{where} cannot be written: {error.strerror or error}."
            ) from error

    def remember(self, written: Mapping[str, SnapshotEntry]) -> None:
        """Keep the digests of files that were written, in a directory that nothing else changes."""
        for name, entry in written.items():
            if entry.kind == FILE:
                self._digests.trust(name, os.lstat(self.path(name)), entry.parts)
        self._digests.save()

    def _make(
        self, wanted: Mapping[str, SnapshotEntry], existing: Mapping[str, SnapshotEntry]
    ) -> None:
        """Make directories and links, and remove what is in their way."""
        for name in sorted(wanted):
            entry, old = wanted[name], existing.get(name)
            if old is not None and (old.kind != entry.kind or old.target != entry.target):
                self._remove_all(name)
                old = None
            if entry.kind == FOLDER and old is None:
                self._remove_all(name)
                os.mkdir(self.path(name), _OWN)  # noqa: PTH102
            elif entry.kind == FOLDER and old is not None and old.mode & _OWN != _OWN:
                os.chmod(self.path(name), old.mode | _OWN)  # noqa: PTH101
            elif entry.kind == LINK and old is None:
                self._remove_all(name)
                os.symlink(entry.target, self.path(name))  # noqa: PTH211

    def _fill(
        self,
        wanted: Mapping[str, SnapshotEntry],
        existing: Mapping[str, SnapshotEntry],
        fetch: Callable[[Sequence[tuple[str, int]]], Iterator[bytes]],
    ) -> None:
        """Write the files that have other bytes; parts that an older version has are copied."""
        changed: list[tuple[SnapshotEntry, dict[str, int]]] = []
        parts: list[tuple[str, int]] = []
        for name in sorted(wanted):
            entry, old = wanted[name], existing.get(name)
            if entry.kind != FILE or (old and (old.kind, old.parts) == (FILE, entry.parts)):
                continue
            here = {part: number for number, part in enumerate(old.parts)} if old else {}
            changed.append((entry, here))
            parts += [
                (part, part_length(entry, number))
                for number, part in enumerate(entry.parts)
                if part not in here
            ]
        fetched = fetch(parts)
        for entry, here in changed:
            self._replace(entry, existing.get(entry.path), here, fetched)

    def _replace(
        self,
        entry: SnapshotEntry,
        old: SnapshotEntry | None,
        here: Mapping[str, int],
        fetched: Iterator[bytes],
    ) -> None:
        path = self.path(entry.path)
        partial = f"{os.path.dirname(path)}/.picloud-{os.urandom(8).hex()}"  # noqa: PTH120
        try:
            with open(partial, "xb") as file:  # noqa: PTH123
                for part in entry.parts:
                    if old is not None and part in here:
                        file.write(self.part(old, here[part]))
                    else:
                        file.write(next(fetched))
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                self._remove_all(entry.path)
            os.replace(partial, path)  # noqa: PTH105
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)  # noqa: PTH108

    def _settle(self, wanted: Mapping[str, SnapshotEntry]) -> None:
        """Set modes and times; those of a directory after all that is in it."""
        for name in sorted(wanted, reverse=True):
            entry, path = wanted[name], self.path(name)
            if entry.kind == LINK:
                continue
            now = os.lstat(path)
            if stat.S_IMODE(now.st_mode) != entry.mode:
                os.chmod(path, entry.mode)  # noqa: PTH101
            if now.st_mtime_ns != entry.modified_ns:
                os.utime(path, ns=(now.st_atime_ns, entry.modified_ns))

    def _remove(self, name: str) -> None:
        """Remove a file, a link, or a directory if nothing is left in it."""
        path = self.path(name)
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            with suppress(OSError):  # a socket or a file that came meanwhile is left
                os.rmdir(path)  # noqa: PTH106
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108

    def _remove_all(self, name: str) -> None:
        path = self.path(name)
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
            import shutil  # noqa: PLC0415 - rarely needed

            shutil.rmtree(path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108


def part_length(entry: SnapshotEntry, number: int) -> int:
    """Return the length of a part of a file.

    >>> part_length(SnapshotEntry(path="a", kind="f", size=5, parts=["0"]), 0)
    5
    """
    return min(PART_BYTES_OF_FILES, entry.size - number * PART_BYTES_OF_FILES)


def _unreadable(path: Any, error: Exception) -> CloudException:
    reason = getattr(error, "strerror", None) or error
    return CloudException(f"{path} cannot be read: {reason}.")


def _changed(path: str) -> CloudException:
    return CloudException(f"{path} changed while it was read: try again once nothing writes it.")
