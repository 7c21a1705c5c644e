"""Buckets in one bucket of S3, which every server process of the stack shares.

The object `key` of an account is the S3 object `<prefix><account>/<encoded key>`. Encoded, some
keys are longer: AWS holds those that then have at most 1,024 bytes, a server that keeps files all
whose requests fit its limit of 8 KiB: at least 600 characters that are escaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, ClassVar, Final, TypeVar

from msgspec.structs import replace
from picloud_model.errors import (
    ObjectChanged,
    ObjectNotFound,
    TooLarge,
    UploadNotFound,
)

from picloud_driver import disk
from picloud_driver.blob.port import Presigned
from picloud_driver.bucket import check
from picloud_driver.bucket.bucket_listing import AFTER_SLASH, BucketListing
from picloud_driver.bucket.chunks import ThreadedChunks, pieces
from picloud_driver.bucket.key import encoded
from picloud_driver.bucket.port import (
    ALWAYS,
    NONE,
    ONE_PUT_BYTES,
    PAGE_KEYS,
    BucketPort,
    ObjectInfo,
    ObjectPage,
    ObjectPart,
    ObjectProperties,
    OpenObject,
    WriteCondition,
)
from picloud_driver.s3.object_values import S3Object, S3Properties
from picloud_driver.s3.objects import COPY_BYTES, S3Objects

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Sequence

    from picloud_driver.s3.client import S3Access

_T = TypeVar("_T")

_CHUNK: Final = 1024 * 1024
_SMALL: Final = 64 * 1024
"""A shorter piece of a body is stored in less time than another thread takes to begin."""
_IN_MEMORY: Final = 1024 * 1024
"""A body that is longer waits in a file for its MD5, which S3 requires first."""
_LARGE: Final = "At most 5 GiB are written at once; write a larger object in parts."


class S3Buckets(BucketPort):
    """Keeps each object as an object of S3; makes no request before the first call.

    Args:
        access: Address, credentials and bucket.
        prefix: The prefix of all objects.
        threads: How many requests may run at once.
        copy_bytes: The largest object that one request copies; AWS has 5 GiB.
    """

    adapter: ClassVar[str] = "s3"

    def __init__(
        self,
        access: S3Access,
        *,
        prefix: str = "bucket/",
        threads: int = 16,
        copy_bytes: int = COPY_BYTES,
    ) -> None:
        self._prefix = prefix
        self._objects = S3Objects(access, connections=threads, copy_bytes=copy_bytes)
        self._threads = ThreadPoolExecutor(threads, "s3-buckets")

    def __repr__(self) -> str:
        return f"S3Buckets({self._objects.where!r}, {self._prefix!r})"

    async def put(
        self,
        account: str,
        key: str,
        chunks: AsyncIterable[bytes],
        *,
        properties: ObjectProperties = NONE,
        condition: WriteCondition = ALWAYS,
    ) -> ObjectInfo:
        """See `BucketPort.put`; the bytes wait in a temporary file until their MD5 is known."""
        path = self._path(account, key)
        check.checked_properties(properties)
        async with self._spooled(chunks) as body:
            md5 = check.stated_md5(body.md5, properties.md5)
            sent = S3Properties(properties.headers, properties.public, md5)
            written = await self._run(
                self._objects.write, path, body.file, body.size, sent, _etag_of(condition)
            )
        return _info(key, written)

    async def get(
        self, account: str, key: str, start: int = 0, end: int | None = None, *, etag: str = ""
    ) -> OpenObject:
        """See `BucketPort.get`."""
        path = self._path(account, key)
        check.checked_range(start, end)
        opened = None
        with _named(key):
            if end is None or end > start:
                opened = await self._run(self._objects.read, path, start, end, etag)
            if opened is None:
                info = await self.head(account, key)
                if etag and info.etag != etag:
                    raise ObjectChanged
                return OpenObject(info, ThreadedChunks(bytes, _nothing, self._run))
        found, body = opened

        def read() -> bytes:
            return self._objects.receive(body, _CHUNK)

        return OpenObject(_info(key, found), ThreadedChunks(read, body.close, self._run))

    async def head(self, account: str, key: str) -> ObjectInfo:
        """See `BucketPort.head`."""
        with _named(key):
            return _info(key, await self._run(self._objects.head, self._path(account, key)))

    async def page(
        self,
        account: str,
        prefix: str = "",
        after: str = "",
        *,
        folders: bool = False,
        limit: int = PAGE_KEYS,
    ) -> ObjectPage:
        """See `BucketPort.page`."""
        check.checked_account(account)
        check.checked_count(limit, "limit")
        begin, skipped = check.checked_listing(prefix, after, folders=folders)
        if skipped.endswith("/"):
            skipped = f"{skipped[:-1]}{AFTER_SLASH}"
        top = f"{self._prefix}{account}/"
        listing = BucketListing(self._objects, top, folders=folders, limit=limit)
        return await self._run(listing.page, begin, skipped)

    async def delete(self, account: str, keys: Sequence[str]) -> None:
        """See `BucketPort.delete`."""
        paths = [self._path(account, key) for key in keys]
        if paths:
            check.checked_count(len(paths), "keys")
            await self._run(self._objects.remove, paths)

    async def copy(
        self, account: str, source: str, target: str, properties: ObjectProperties | None = None
    ) -> ObjectInfo:
        """See `BucketPort.copy`."""
        path = self._path(account, target)
        check.checked_properties(properties or NONE)
        with _named(source):
            found = await self._run(self._objects.head, self._path(account, source))
            kept = found.properties or S3Properties({}, public=False, md5="")
            if properties:
                kept = S3Properties(properties.headers, properties.public, kept.md5)
            await self._run(self._objects.copy, found, path, kept)
        return await self.head(account, target)

    async def start_upload(
        self, account: str, key: str, properties: ObjectProperties = NONE
    ) -> str:
        """See `BucketPort.start_upload`."""
        path = self._path(account, key)
        check.checked_properties(properties)
        sent = S3Properties(properties.headers, properties.public, properties.md5)
        return await self._run(self._objects.start_upload, path, sent)

    async def put_part(
        self, account: str, key: str, upload: str, number: int, chunks: AsyncIterable[bytes]
    ) -> ObjectPart:
        """See `BucketPort.put_part`."""
        path = self._path(account, key)
        check.upload_id(upload)
        check.checked_number(number)
        async with self._spooled(chunks) as body:
            write = self._objects.write_part
            await self._run(write, path, upload, number, body.file, body.md5)
            return ObjectPart(number, body.md5, body.size)

    async def parts(self, account: str, key: str, upload: str) -> list[ObjectPart]:
        """See `BucketPort.parts`."""
        check.upload_id(upload)
        parts = await self._run(self._objects.parts, self._path(account, key), upload)
        return [ObjectPart(*part) for part in parts]

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
        """See `BucketPort.finish_upload`."""
        path = self._path(account, key)
        check.upload_id(upload)
        check.checked_parts(parts)
        named = [(part.number, part.md5) for part in parts]
        try:
            condition = "" if absent else None
            etag = await self._run(self._objects.finish_upload, path, upload, named, condition)
        except UploadNotFound:
            etag = check.etag_of(parts)
        with contextlib.suppress(ObjectNotFound):
            info = await self.head(account, key)
            if info.etag == etag:
                return await self._with_md5(path, info, md5)
        # A server may know an upload for a while after its end.
        raise UploadNotFound

    async def _with_md5(self, path: str, info: ObjectInfo, md5: str) -> ObjectInfo:
        """Store the MD5 of an object, unless it is known."""
        if not md5 or info.properties.md5:
            return info
        await self._run(self._objects.tag, path, info.etag, check.checked_md5(md5))
        return replace(info, properties=replace(info.properties, md5=md5))

    async def abort_upload(self, account: str, key: str, upload: str) -> None:
        """See `BucketPort.abort_upload`."""
        path = self._path(account, key)
        with contextlib.suppress(UploadNotFound):
            check.upload_id(upload)
            await self._run(self._objects.abort_upload, path, upload)

    async def unfinished_bytes(self, account: str) -> int:
        """See `BucketPort.unfinished_bytes`; lists the uploads, then the parts of each."""
        check.checked_names(account, "-")
        return await self._run(self._objects.unfinished_bytes, f"{self._prefix}{account}/")

    async def abort_old_uploads(self, before: float) -> int:
        """See `BucketPort.abort_old_uploads`."""
        return await self._run(self._objects.abort_old_uploads, self._prefix, before)

    async def presign_put(
        self,
        account: str,
        key: str,
        size: int,
        *,
        properties: ObjectProperties,
        condition: WriteCondition = ALWAYS,
    ) -> Presigned | None:
        """See `BucketPort.presign_put`."""
        path = self._path(account, key)
        check.checked_properties(properties)
        sent = S3Properties(
            properties.headers, properties.public, check.checked_md5(properties.md5)
        )
        if not 0 <= size <= ONE_PUT_BYTES:
            raise TooLarge(_LARGE, field="size")
        presign = self._objects.presign_write
        return Presigned(*await self._run(presign, path, size, sent, _etag_of(condition)))

    async def presign_part(
        self, account: str, key: str, upload: str, part: ObjectPart
    ) -> Presigned | None:
        """See `BucketPort.presign_part`."""
        path = self._path(account, key)
        check.upload_id(upload)
        number = check.checked_number(part.number)
        md5 = check.checked_md5(part.md5) if part.md5 else ""
        if not 0 <= part.size <= ONE_PUT_BYTES:
            raise TooLarge(_LARGE, field="size")
        presign = self._objects.presign_part
        return Presigned(*await self._run(presign, path, upload, number, part.size, md5))

    async def presign_get(self, account: str, key: str) -> Presigned | None:
        """See `BucketPort.presign_get`."""
        path = self._path(account, key)
        return Presigned(await self._run(self._objects.presign_read, path))

    async def close(self) -> None:
        """See `BucketPort.close`."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._objects.close()

    def _path(self, account: str, key: str) -> str:
        check.checked_names(account, key)
        return f"{self._prefix}{account}/{encoded(key)}"

    async def _run(self, function: Callable[..., _T], *arguments: object) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, function, *arguments)

    @contextlib.asynccontextmanager
    async def _spooled(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[_Body]:
        body = _Body()
        try:
            async for piece in pieces(chunks, _CHUNK):
                if len(piece) <= _SMALL:
                    body.write(piece)
                else:
                    await self._run(body.write, piece)
                if body.size > ONE_PUT_BYTES:
                    raise TooLarge(_LARGE)
            yield body
        finally:
            body.file.close()


class _Body:
    """The bytes of a request: in memory, or in a temporary file if there are many."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    @property
    def md5(self) -> str:
        """Return the MD5 of the bytes in hex."""
        return self._md5.hexdigest()

    def write(self, piece: bytes) -> None:
        """Add bytes."""
        with disk.faults(tempfile.gettempdir()):
            self.file.write(piece)
        self._md5.update(piece)
        self.size += len(piece)


@contextlib.contextmanager
def _named(key: str) -> Iterator[None]:
    """Name the key in errors about it."""
    try:
        yield
    except ObjectNotFound:
        message = f"There is no object {key!r} in your bucket."
        raise ObjectNotFound(message, field="key") from None
    except ObjectChanged:
        raise ObjectChanged(f"The object {key!r} was written or removed meanwhile.") from None


def _etag_of(condition: WriteCondition) -> str | None:
    return "" if condition.absent else condition.etag or None


def _info(key: str, found: S3Object) -> ObjectInfo:
    properties = found.properties or S3Properties({}, public=False, md5="")
    return ObjectInfo(
        key=key,
        size=found.size,
        etag=found.etag,
        modified=found.modified,
        properties=ObjectProperties(properties.headers, properties.public, properties.md5),
    )


def _nothing() -> None:
    """Close nothing."""
