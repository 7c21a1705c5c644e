"""Digests of files that did not change since they were last read."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from cloud._resources.old_files import remove_old_files

if TYPE_CHECKING:
    from pathlib import Path

_KEPT_S: Final = 30 * 86_400.0
"""After how long without use the digests of a directory are removed."""
_RACY_NS: Final = 2_000_000_000
"""A file that changed so shortly before it was read may change again without a new time."""


class KnownFile(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was when it was read, and the digests of its parts."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int
    parts: list[str]


class DigestCache:
    """The digests of the files of one directory, kept from one process to the next in a file.

    A file counts as unchanged if size, times and inode are the same; the time of the last change of
    the inode cannot be set by programs.

    Args:
        path: Where they are kept; None to keep them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[str, KnownFile] = {}
        self._used: dict[str, KnownFile] = {}
        if path is not None:
            with suppress(OSError, msgspec.MsgspecError):
                self._known = msgspec.msgpack.decode(path.read_bytes(), type=dict[str, KnownFile])

    @classmethod
    def of(cls, root: str, directory: Path) -> DigestCache:
        """Return what is kept about a directory of this machine in a directory of caches."""
        name = sha256(os.fsencode(os.path.abspath(root))).hexdigest()[:32]  # noqa: PTH100
        return cls(directory / f"{name}.msgpack")

    def find(self, name: str, status: os.stat_result) -> list[str] | None:
        """Return the digests of a file's parts, if it is as it was."""
        known = self._known.get(name)
        if known is None or known != _seen(status, known.parts):
            return None
        self._used[name] = known
        return known.parts

    def keep(self, name: str, status: os.stat_result, parts: list[str], read_ns: int) -> None:
        """Remember the digests of a file that was read from `read_ns` on."""
        if max(status.st_mtime_ns, status.st_ctime_ns) < read_ns - _RACY_NS:
            self.trust(name, status, parts)

    def trust(self, name: str, status: os.stat_result, parts: list[str]) -> None:
        """Remember the digests of a file that nothing changes now."""
        self._used[name] = _seen(status, parts)

    def save(self) -> None:
        """Write what was found or kept since. An error only means that files are read again."""
        if self._path is None or self._used == self._known:
            return
        directory = self._path.parent
        partial = self._path.with_suffix(f".{os.getpid()}")
        with suppress(OSError, UnicodeEncodeError):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_old_files(directory, _KEPT_S)
            partial.write_bytes(msgspec.msgpack.encode(self._used))
            partial.replace(self._path)


def _seen(status: os.stat_result, parts: list[str]) -> KnownFile:
    return KnownFile(
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        changed_ns=status.st_ctime_ns,
        inode=status.st_ino,
        parts=parts,
    )
