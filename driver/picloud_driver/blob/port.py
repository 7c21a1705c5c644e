"""The blob port: immutable bytes under names, for data too large for the state store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Presigned(msgspec.Struct, frozen=True):
    """A URL that permits one operation for a limited time, and headers to send with it."""

    url: str
    headers: dict[str, str] = {}


class BlobFiles(msgspec.Struct, frozen=True):
    """Where other processes of this machine and user find blobs as files, and leave new ones.

    A blob `folder/x` is the file `x` in the directory `blobs`. A process that has written a file
    `x` into `incoming`, at first under another name, may have it adopted. A file named `proof` is
    there, too: a process that finds the text `proof` in it sees the directories that are meant.
    """

    blobs: str
    incoming: str
    proof: str


class BlobTotals(msgspec.Struct, frozen=True):
    """How many blobs there are, and how many bytes they have in all."""

    blobs: int = 0
    size: int = 0


class BlobPort(ABC):
    """What a blob store promises. Each sentence here is a contract test.

    Names are `/`-separated parts of letters, digits, `-`, `_` and `.`, no part being `.` or `..`,
    at most 200 characters per part and 800 in all; another name is refused with `RequestRefused`.
    A name may be the beginning of another: `a` and `a/b` are two blobs. A blob is complete or does
    not exist: a reader never sees a part of it, and a crash during a write leaves nothing under the
    name. Every method raises `Unavailable` when the store cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""

    @abstractmethod
    async def put(self, name: str, data: bytes) -> bool:
        """Write a blob unless the name is taken; once this returns, it outlives the process.

        Returns:
            Whether it was written; False if it existed before, in which case it is unchanged.

        Raises:
            TooLarge: When it does not fit on the disk, whatever else is removed.
            Unavailable: When it cannot be written now.
        """

    @abstractmethod
    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Read bytes `start .. end-1` (to the last by default).

        Raises:
            BlobMissing: When there is no such blob.
        """

    @abstractmethod
    async def size(self, name: str) -> int:
        """Return the length of a blob in bytes.

        Raises:
            BlobMissing: When there is no such blob.
        """

    @abstractmethod
    async def missing(self, names: Sequence[str]) -> list[str]:
        """Return the names under which no blob exists, in the order given."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove a blob; a missing one is not an error."""

    @abstractmethod
    def names(self, prefix: str) -> AsyncIterator[str]:
        """Yield every name that begins with `prefix`, ascending."""

    @abstractmethod
    async def usage(self, prefix: str) -> BlobTotals:
        """Return how many blobs have names that begin with `prefix`, and their bytes in all."""

    @abstractmethod
    async def presign_put(self, name: str, size: int, digest: str) -> Presigned | None:
        """Return a URL to write exactly these bytes to, or None if clients must use the API.

        Args:
            name: The name of the blob.
            size: Length in bytes.
            digest: SHA-256 in hex; the store refuses other bytes.
        """

    @abstractmethod
    async def presign_get(self, name: str) -> Presigned | None:
        """Return a URL to read a blob from, or None if clients must use the API."""

    @abstractmethod
    async def files(self, folder: str) -> BlobFiles | None:
        """Return where blobs `folder/x` are files, or None if they are not files of this machine.

        Args:
            folder: A name without `/`.
        """

    @abstractmethod
    async def adopt(self, name: str, size: int) -> bool:
        """Store the file of this name that another process has left in `incoming`, without a copy.

        Args:
            name: The name of the blob, `folder/x`.
            size: How many bytes the file has; another one is not stored, nor is a link.

        Returns:
            Whether a blob has this name now.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Return if blobs can be read, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""
