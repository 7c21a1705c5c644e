"""The blob port: immutable bytes under names, for what is too large for the state store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


class Presigned(msgspec.Struct, frozen=True):
    """A URL that lets its bearer do one thing for a while, and headers to send along."""

    url: str
    headers: dict[str, str] = {}


class BlobPort(ABC):
    """What a blob store promises. Each sentence here is a contract test.

    Names are `/`-separated parts of letters, digits, `-`, `_` and `.`, no part being `.` or `..`,
    at most 200 characters a part and 800 in all; another name is refused with `RequestRefused`.
    A name may be the beginning of another: `a` and `a/b` are two blobs. A blob is whole or not
    there: a reader never sees a part of it, and a crash while writing leaves nothing under the
    name. Every method raises `Unavailable` when the store cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""

    @abstractmethod
    async def put(self, name: str, data: bytes) -> bool:
        """Write a blob unless the name is taken; once answered it outlives the process.

        Returns:
            Whether it was written now; False when it was there before, and stays as it was.
        """

    @abstractmethod
    async def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Read bytes `start .. end-1` (to the last by default).

        Raises:
            BlobMissing: When there is no such blob.
        """

    @abstractmethod
    async def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names under which nothing lies, in the order given."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove a blob; a missing one is no error."""

    @abstractmethod
    def names(self, prefix: str) -> AsyncIterator[str]:
        """Every name that begins with `prefix`, ascending."""

    @abstractmethod
    async def presign_put(self, name: str, size: int, digest: str) -> Presigned | None:
        """A URL to write exactly these bytes to, or None where clients go through the API.

        Args:
            name: Under which name.
            size: Length in bytes.
            digest: SHA-256 in hex; other bytes are refused by the store.
        """

    @abstractmethod
    async def presign_get(self, name: str) -> Presigned | None:
        """A URL to read a blob from, or None where clients go through the API."""

    @abstractmethod
    async def ping(self) -> None:
        """Answer when blobs can be read; raise `Unavailable` when not."""

    @abstractmethod
    async def close(self) -> None:
        """Give back connections."""
