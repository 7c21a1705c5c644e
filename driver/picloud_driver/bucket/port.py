"""The bucket port: objects of any size under keys that users choose, a bucket for each account."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from picloud_driver.bucket.chunks import ThreadedChunks

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Sequence

    from picloud_driver.blob.port import Presigned

CONTENT_HEADERS: Final = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
    }
)
"""The headers that an object may have."""
PAGE_KEYS: Final = 1000
"""Maximum number of keys that one call lists or deletes."""
PART_BYTES: Final = 5 * 1024**2
"""Fewest bytes of a part that is not the last."""
PARTS: Final = 10_000
"""Most parts of an object; they are numbered from 1."""
ONE_PUT_BYTES: Final = 5 * 1024**3
"""The largest object that is written in one piece, and the largest part."""


class ObjectProperties(msgspec.Struct, frozen=True):
    """The properties of an object that its writer sets besides its bytes.

    Args:
        headers: HTTP headers to send with it, by names of `CONTENT_HEADERS`.
        public: Whether everyone may read it, without a key.
        md5: MD5 of its bytes in hex, "" if the writer does not know it.
    """

    headers: dict[str, str] = {}
    public: bool = False
    md5: str = ""


class WriteCondition(msgspec.Struct, frozen=True):
    """When to write an object: `absent`, only if there is none; `etag`, only over that version."""

    absent: bool = False
    etag: str = ""


NONE: Final = ObjectProperties()
ALWAYS: Final = WriteCondition()


class ObjectEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An object in a listing.

    Args:
        key: Its key.
        size: Length in bytes.
        etag: Names its bytes: their MD5 in hex, or `<MD5 of the parts' MD5s>-<number of parts>`.
        modified: When it was written, in seconds since 1970.
    """

    key: str
    size: int
    etag: str
    modified: float


class ObjectInfo(ObjectEntry, frozen=True, kw_only=True):
    """All that is known of an object; `properties.md5` is "" only if it was written in parts."""

    properties: ObjectProperties


class ObjectPage(msgspec.Struct, frozen=True):
    """Some objects and folders, each ascending by the bytes of its name in UTF-8.

    Args:
        objects: The objects.
        folders: Beginnings of keys up to and including a `/`, if requested.
        truncated: Whether more follow; they come after the last name in `objects` and `folders`.
    """

    objects: list[ObjectEntry]
    folders: list[str]
    truncated: bool


class ObjectPart(msgspec.Struct, frozen=True):
    """A part of an upload: its number from 1, the MD5 of its bytes in hex, and its length."""

    number: int
    md5: str
    size: int = 0


class OpenObject(msgspec.Struct, frozen=True):
    """An object that is being read, in one version: what is known of it, and the bytes.

    Close `chunks` with `aclose()`, unless they were read to the end.
    """

    info: ObjectInfo
    chunks: ThreadedChunks


class BucketPort(ABC):
    """What a store of buckets promises. Each sentence here is a contract test.

    A key is 1 to 1,024 bytes of UTF-8 without NUL, and no path: `a` and `a/b`, `x//y` and `x/y`,
    `x` and `x/` are different objects, and what is between slashes may be `..` or have 300
    characters. Another key is refused with `RequestRefused`. An account reaches its own objects
    only. A reader sees one whole version of an object, and a write that fails leaves the earlier
    version. What was written is seen by every later read and listing. Every method raises
    `Unavailable` when the store cannot answer.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""

    @abstractmethod
    async def put(
        self,
        account: str,
        key: str,
        chunks: AsyncIterable[bytes],
        *,
        properties: ObjectProperties = NONE,
        condition: WriteCondition = ALWAYS,
    ) -> ObjectInfo:
        """Write an object, in place of an earlier one; once this returns, it outlives the process.

        Raises:
            ObjectChanged: When the condition does not hold; nothing was written.
            RequestRefused: When the bytes do not have the MD5 in `properties`, or a header is not
                one of `CONTENT_HEADERS`.
        """

    @abstractmethod
    async def get(
        self, account: str, key: str, start: int = 0, end: int | None = None, *, etag: str = ""
    ) -> OpenObject:
        """Open bytes `start .. end-1` (to the last by default), as far as they exist.

        Raises:
            ObjectNotFound: When there is no such object.
            ObjectChanged: When `etag` is not "" and the object has another one.
        """

    @abstractmethod
    async def head(self, account: str, key: str) -> ObjectInfo:
        """Return what is known of an object.

        Raises:
            ObjectNotFound: When there is no such object.
        """

    @abstractmethod
    async def page(
        self,
        account: str,
        prefix: str = "",
        after: str = "",
        *,
        folders: bool = False,
        limit: int = PAGE_KEYS,
    ) -> ObjectPage:
        """List objects whose keys begin with `prefix` and come after `after`.

        Args:
            account: Whose objects.
            prefix: How keys begin, "" for all.
            after: A key or a folder, which need not exist: only names above it are listed, in the
                order of their bytes. With `folders`, it stands for the folder that it is in.
            folders: Whether to list keys that have a `/` after the prefix as one folder each.
            limit: Most objects and folders, 1 to `PAGE_KEYS`.
        """

    @abstractmethod
    async def delete(self, account: str, keys: Sequence[str]) -> None:
        """Remove up to `PAGE_KEYS` objects; a missing one is not an error."""

    @abstractmethod
    async def copy(
        self, account: str, source: str, target: str, properties: ObjectProperties | None = None
    ) -> ObjectInfo:
        """Write the bytes of an object under a key, without passing them through this process.

        Args:
            account: Whose objects.
            source: The key to read.
            target: The key to write; it may be the same, which changes headers and `public` only.
            properties: Its headers and whether it is public; by default those of the source.

        Raises:
            ObjectNotFound: When there is no such object.
        """

    @abstractmethod
    async def start_upload(
        self, account: str, key: str, properties: ObjectProperties = NONE
    ) -> str:
        """Begin an object that is written in parts, and return the id of its upload."""

    @abstractmethod
    async def put_part(
        self, account: str, key: str, upload: str, number: int, chunks: AsyncIterable[bytes]
    ) -> ObjectPart:
        """Write a part of an upload, in place of an earlier one with this number.

        Raises:
            UploadNotFound: When the upload does not exist: it was completed or given up.
            TooLarge: When it is larger than `ONE_PUT_BYTES`.
        """

    @abstractmethod
    async def parts(self, account: str, key: str, upload: str) -> list[ObjectPart]:
        """Return the parts of an upload that were written, ascending.

        Raises:
            UploadNotFound: When the upload does not exist.
        """

    @abstractmethod
    async def finish_upload(
        self,
        account: str,
        key: str,
        upload: str,
        parts: Sequence[ObjectPart],
        *,
        absent: bool = False,
        md5: str = "",
    ) -> ObjectInfo:
        """Write the object that consists of these parts, and end the upload.

        Finishing it again returns the object, as long as it has these parts.

        Args:
            account: Whose object.
            key: Its key.
            upload: The id of the upload.
            parts: The number and MD5 of each.
            absent: Whether to write the object only if there is none.
            md5: MD5 of the whole in hex, if it was not known at the start.

        Raises:
            UploadNotFound: When the upload does not exist.
            ObjectChanged: When there is an object although `absent`; the upload goes on.
            RequestRefused: When the parts do not ascend, one was not written or has other bytes, or
                one that is not the last is smaller than `PART_BYTES`.
        """

    @abstractmethod
    async def abort_upload(self, account: str, key: str, upload: str) -> None:
        """Remove an upload and its parts; a missing one is not an error."""

    @abstractmethod
    async def unfinished_bytes(self, account: str) -> int:
        """Return how many bytes the parts of an account's uploads have that have not ended."""

    @abstractmethod
    async def abort_old_uploads(self, before: float) -> int:
        """Remove the uploads of all accounts to which nothing was written since a time.

        Args:
            before: The time, in seconds since 1970.

        Returns:
            How many were removed.
        """

    @abstractmethod
    async def presign_put(
        self,
        account: str,
        key: str,
        size: int,
        *,
        properties: ObjectProperties,
        condition: WriteCondition = ALWAYS,
    ) -> Presigned | None:
        """Return a URL to write exactly these bytes to, or None if clients must use the API.

        The store answers 400 to other bytes than those of `properties.md5`, which is required here,
        and 412 when the condition does not hold. The URL is valid for 5 minutes.

        Raises:
            TooLarge: When `size` is above `ONE_PUT_BYTES`.
        """

    @abstractmethod
    async def presign_part(
        self, account: str, key: str, upload: str, part: ObjectPart
    ) -> Presigned | None:
        """Return a URL to write this part to, or None if clients must use the API.

        The store refuses other bytes than those of `part.md5` with 400. If that is "", the bytes
        have to be as long as stated, and are checked when the upload is finished. The URL is valid
        for 5 minutes.
        """

    @abstractmethod
    async def presign_get(self, account: str, key: str) -> Presigned | None:
        """Return a URL to read an object from, or None if clients must use the API.

        `Range` and `If-Match` may be sent with the request; `HEAD` is refused. The URL is valid for
        5 minutes.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""
