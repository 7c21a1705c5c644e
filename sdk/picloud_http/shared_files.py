"""Blobs as files that a server shares with processes of its own machine and user.

A blob that both can open need not travel: it is written once, and mapped where it is read.
"""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from picloud_model.errors import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.blob import SharedDirectories

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_PRIVATE: Final = 0o600


def may_share(url: str) -> bool:
    """Return whether a server's files may be those of this machine, by its URL.

    >>> may_share("http://127.0.0.1:8787"), may_share("https://example.org")
    (True, False)
    """
    return urlsplit(url).hostname in _LOOPBACK


class SharedFiles:
    """The blobs of an account in the directories of a server; `found` checks that they are here.

    Args:
        directories: Where they are.
    """

    def __init__(self, directories: SharedDirectories) -> None:
        self._blobs = directories.blobs
        self._incoming = directories.incoming

    @classmethod
    def found(cls, directories: SharedDirectories | None) -> SharedFiles | None:
        """Return the files, if this process may use what the server means by these paths.

        A port of this machine may lead to a server of another one, or in a container, where the
        same paths are others; and another user may use no file of the server.
        """
        if directories is None:
            return None
        try:
            with open(f"{directories.incoming}proof", encoding="ascii") as file:  # noqa: PTH123
                is_here = file.read(len(directories.proof) + 1) == directories.proof
        except (OSError, ValueError):
            return None
        return cls(directories) if is_here and directories.proof else None

    @property
    def incoming(self) -> str:
        """The directory in which `write_file` leaves blobs for the server."""
        return self._incoming

    def path(self, digest: str) -> str:
        """Return the path of a blob."""
        return self._blobs + digest

    def stamp(self, digest: str) -> tuple[int, int, int] | None:
        """Return what changes with the bytes of a blob; None if it is not here."""
        try:
            found = os.stat(self.path(digest))  # noqa: PTH116
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_ctime_ns

    def write(self, digest: str, parts: Sequence[bytes]) -> bool:
        """Leave a blob for the server; return False if it cannot be written here.

        Args:
            digest: Its SHA-256 in hex, the name of the file.
            parts: Its bytes, which are not joined.
        """
        return write_file(self._incoming, digest, parts)

    def left(self, digest: str) -> bytes | None:
        """Return the bytes of a blob that was written and not adopted; the file is removed."""
        path = self._incoming + digest
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                data = file.read()
            os.unlink(path)  # noqa: PTH108
        except OSError:
            return None
        return data

    def read(self, digest: str) -> bytes | None:
        """Return the bytes of a blob, None if it is not here.

        Raises:
            BlobMissing: When the file has other bytes.
        """
        try:
            with open(self.path(digest), "rb", buffering=0) as file:  # noqa: PTH123
                data = file.read()
        except OSError:
            return None
        if sha256(data).hexdigest() != digest:
            raise _damaged(digest)
        return data

    def check(self, digest: str) -> bool:
        """Compare a blob with its digest, without a copy; return False if it is not here.

        Raises:
            BlobMissing: When the file has other bytes.
        """
        import mmap  # noqa: PLC0415 - clients do not map

        try:
            opened = os.open(self.path(digest), os.O_RDONLY)
        except OSError:
            return False
        try:
            size = os.fstat(opened).st_size
            hashed = sha256()
            if size:
                with mmap.mmap(opened, size, access=mmap.ACCESS_READ) as mapped:
                    hashed.update(mapped)
        except (OSError, ValueError):
            return False
        finally:
            os.close(opened)
        if hashed.hexdigest() != digest:
            raise _damaged(digest)
        return True


def write_file(directory: str, digest: str, parts: Sequence[bytes]) -> bool:
    """Leave a blob for the server in a directory; return False if it cannot be written there.

    Args:
        directory: The `incoming` of a server's directories.
        digest: Its SHA-256 in hex, the name of the file.
        parts: Its bytes, which are not joined.
    """
    temporary = f"{directory}{os.urandom(16).hex()}.part"
    try:
        opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except OSError:
        return False
    try:
        try:
            os.fchmod(opened, _PRIVATE)  # a job may have any umask
            _write_all(opened, parts)
        finally:
            os.close(opened)
        os.replace(temporary, directory + digest)  # noqa: PTH105
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        if isinstance(error, OSError):
            return False
        raise
    return True


def _write_all(opened: int, parts: Sequence[bytes]) -> None:
    for part in parts:
        rest = memoryview(part)
        while rest:
            rest = rest[os.write(opened, rest) :]


def _damaged(digest: str) -> BlobMissing:
    return BlobMissing(f"Blob {digest} has other bytes.", digests=(digest,))
