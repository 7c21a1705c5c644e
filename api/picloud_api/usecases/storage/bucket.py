"""Buckets: objects that an account stores under keys."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

from picloud_driver.bucket import ObjectPart, ObjectProperties
from picloud_driver.bucket.port import CONTENT_HEADERS
from picloud_model.errors import ObjectNotFound, RequestRefused, UploadNotFound
from picloud_model.wire.bucket import (
    MAX_KEY_BYTES,
    WHOLE_OBJECT_BYTES,
    ListedObject,
    ObjectBytesQuery,
    ObjectDescription,
    ObjectPut,
    ObjectsListed,
    OpenedObject,
    PartsListed,
    PathFound,
    SentPart,
    WriteObjectQuery,
    WritePartQuery,
    WriteTarget,
    bytes_url,
    etag_of_parts,
    part_bytes,
    part_url,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence

    from picloud_driver.bucket import BucketPort, ObjectInfo, OpenObject
    from picloud_model.wire import bucket as wire

    from picloud_api.usecases.storage.bucket_quota import BucketQuota


class Buckets:
    """Stores, lists, reads and publishes the objects of accounts."""

    def __init__(self, port: BucketPort, quota: BucketQuota) -> None:
        self._port = port
        self._quota = quota

    async def put(self, account: str, request: wire.PutObjectRequest) -> ObjectPut:
        """Store a small object; for another one, return where to send its bytes.

        Raises:
            RequestRefused: When the key or a header is not allowed, or `data` is not as announced.
            BucketFull: When the bucket has no room for it.
        """
        key = checked_key(request.key)
        properties = ObjectProperties(checked_headers(request.headers), md5=request.md5)
        if request.data is not None and len(request.data) != request.size:
            raise RequestRefused("The data is not as long as `size` says.", field="size")
        if not request.md5 and request.size <= WHOLE_OBJECT_BYTES:
            raise RequestRefused("State the MD5 of an object of up to 64 MiB.", field="md5")
        await self._quota.admit(account, key, request.size)
        if request.data is not None:
            info = await self._port.put(account, key, _one(request.data), properties=properties)
            return ObjectPut(stored=_description(info))
        if request.size > WHOLE_OBJECT_BYTES:
            upload = await self._port.start_upload(account, key, properties)
            return ObjectPut(upload=upload, part_bytes=part_bytes(request.size))
        presigned = await self._port.presign_put(account, key, request.size, properties=properties)
        if presigned is not None:
            return ObjectPut(target=WriteTarget(presigned.url, presigned.headers))
        url = bytes_url(WriteObjectQuery(key=key, md5=request.md5))
        return ObjectPut(target=WriteTarget(url, properties.headers))

    async def write(
        self,
        account: str,
        query: WriteObjectQuery,
        chunks: AsyncIterable[bytes],
        headers: Mapping[str, str],
        *,
        size: int,
    ) -> ObjectDescription:
        """Store an object whose bytes come through the API, where they may not be announced.

        Raises:
            BucketFull: When the bucket has no room for it.
        """
        key = checked_key(query.key)
        await self._quota.admit(account, key, size)
        properties = ObjectProperties(dict(headers), md5=query.md5)
        return _description(await self._port.put(account, key, chunks, properties=properties))

    async def part_target(self, account: str, request: wire.PutPartRequest) -> WriteTarget:
        """Return where to send a part of an upload."""
        key = checked_key(request.key)
        part = ObjectPart(request.number, request.md5, request.size)
        presigned = await self._port.presign_part(account, key, request.upload, part)
        if presigned is not None:
            await self._quota.admit(account, key, request.size)
            return WriteTarget(presigned.url, presigned.headers)
        query = WritePartQuery(
            key=key, upload=request.upload, number=request.number, md5=request.md5
        )
        return WriteTarget(part_url(query))

    async def write_part(
        self, account: str, query: WritePartQuery, chunks: AsyncIterable[bytes], *, size: int
    ) -> None:
        """Store a part whose bytes come through the API.

        Raises:
            UploadNotFound: When the upload does not exist.
            RequestRefused: When the bytes have another MD5.
        """
        key = checked_key(query.key)
        # Parts may be more than was announced; what is counted twice is not in the next count.
        await self._quota.admit(account, key, size)
        part = await self._port.put_part(account, key, query.upload, query.number, chunks)
        if query.md5 and part.md5 != query.md5:
            raise RequestRefused("The bytes of the part do not have this MD5.", field="md5")

    async def parts(self, account: str, request: wire.ListPartsRequest) -> PartsListed:
        """Return the parts of an upload that were sent.

        Raises:
            UploadNotFound: When the upload does not exist.
        """
        parts = await self._port.parts(account, checked_key(request.key), request.upload)
        return PartsListed(parts=[SentPart(each.number, each.md5, each.size) for each in parts])

    async def finish(self, account: str, request: wire.FinishUploadRequest) -> ObjectDescription:
        """Store the object whose parts were sent; a repetition returns the same.

        Raises:
            UploadNotFound: When the upload does not exist.
            RequestRefused: When a part is missing, or has other bytes.
        """
        key = checked_key(request.key)
        parts = [ObjectPart(number, md5) for number, md5 in enumerate(request.parts, 1)]
        try:
            info = await self._port.finish_upload(
                account, key, request.upload, parts, md5=request.md5
            )
        except UploadNotFound:
            # The answer to an earlier request may have been lost.
            info = await self._finished(account, key, request.parts)
        return _description(info)

    async def _finished(self, account: str, key: str, md5s: Sequence[str]) -> ObjectInfo:
        try:
            info = await self._port.head(account, key)
        except ObjectNotFound:
            raise UploadNotFound from None
        if info.etag != etag_of_parts(md5s):
            raise UploadNotFound
        return info

    async def abort(self, account: str, request: wire.AbortUploadRequest) -> None:
        """Give up an upload."""
        await self._port.abort_upload(account, checked_key(request.key), request.upload)

    async def info(self, account: str, key: str) -> ObjectDescription:
        """Return what is known of an object.

        Raises:
            ObjectNotFound: When there is no such object.
        """
        return _description(await self._head(account, checked_key(key)))

    async def open(self, account: str, key: str, inline_bytes: int = 0) -> OpenedObject:
        """Return what is known of an object, and where its bytes are; a small one with its bytes.

        Raises:
            ObjectNotFound: When there is no such object.
        """
        key = checked_key(key)
        url = await self._bytes_url(account, key)
        if not inline_bytes:
            return OpenedObject(object=_description(await self._head(account, key)), url=url)
        with _missing_named(key):
            opened = await self._port.get(account, key, 0, inline_bytes)
        data = b""
        async with aclosing(opened.chunks) as chunks:
            while len(data) < opened.info.size <= inline_bytes:
                data += await anext(chunks)
        inline = data if len(data) == opened.info.size else None
        return OpenedObject(object=_description(opened.info), url=url, data=inline)

    async def _bytes_url(self, account: str, key: str) -> str:
        presigned = await self._port.presign_get(account, key)
        return presigned.url if presigned else bytes_url(ObjectBytesQuery(key=key))

    async def read(
        self, account: str, key: str, start: int, end: int | None, etag: str
    ) -> OpenObject:
        """Open bytes `start .. end-1` of one version of an object.

        Raises:
            ObjectNotFound: When there is no such object.
            ObjectChanged: When it has another ETag.
        """
        return await self._port.get(account, checked_key(key), start, end, etag=etag)

    async def head(self, account: str, key: str, *, public: bool = False) -> ObjectInfo:
        """Return what is known of an object; with `public`, of a public one only.

        Raises:
            ObjectNotFound: When there is no such object.
        """
        info = await self._head(account, checked_key(key))
        if public and not info.properties.public:
            raise ObjectNotFound(_missing(key), field="key")
        return info

    async def list(self, account: str, request: wire.ListObjectsRequest) -> ObjectsListed:
        """Return keys in the order of their bytes."""
        page = await self._port.page(
            account,
            request.prefix,
            request.marker,
            folders=request.folderize,
            limit=request.max_keys,
        )
        objects = [
            ListedObject(each.key, each.size, each.etag, each.modified) for each in page.objects
        ]
        return ObjectsListed(objects=objects, folders=page.folders, truncated=page.truncated)

    async def remove(self, account: str, keys: Sequence[str]) -> None:
        """Remove objects; missing ones are not an error."""
        await self._port.delete(account, [checked_key(key) for key in keys])

    async def copy(self, account: str, source: str, target: str) -> ObjectDescription:
        """Store the bytes and properties of an object under another key.

        Raises:
            ObjectNotFound: When there is no such object.
            BucketFull: When the bucket has no room for it.
        """
        source, target = checked_key(source), checked_key(target)
        await self._quota.admit(account, target, (await self._head(account, source)).size)
        return _description(await self._port.copy(account, source, target))

    async def path(self, account: str, path: str) -> PathFound:
        """Return what a path is in a file system: an object, a folder, both or nothing."""
        found, page = await asyncio.gather(
            self._found(account, checked_key(path)),
            self._port.page(account, f"{path}/", limit=1),
        )
        is_folder = bool(page.objects)
        url = await self._bytes_url(account, path) if found and not is_folder else ""
        return PathFound(object=found, folder=is_folder, url=url)

    async def _found(self, account: str, key: str) -> ObjectDescription | None:
        try:
            return _description(await self._port.head(account, key))
        except ObjectNotFound:
            return None

    async def publish(self, account: str, request: wire.PublishObjectRequest) -> ObjectDescription:
        """Make an object public or private, and change its headers.

        Raises:
            ObjectNotFound: When there is no such object.
        """
        key = checked_key(request.key)
        now = (await self._head(account, key)).properties
        headers = {} if request.reset_headers else dict(now.headers)
        headers |= checked_headers(request.headers)
        properties = ObjectProperties(headers, request.public, now.md5)
        if properties == now:
            return _description(await self._head(account, key))
        return _description(await self._port.copy(account, key, key, properties))

    async def _head(self, account: str, key: str) -> ObjectInfo:
        with _missing_named(key):
            return await self._port.head(account, key)


def checked_key(key: str) -> str:
    """Return a key, if it is one.

    Raises:
        RequestRefused: When it is empty, too long, or has a NUL.

    >>> checked_key("a//b")
    'a//b'
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise RequestRefused("A key must be text that UTF-8 can encode.", field="key") from None
    if not 0 < size <= MAX_KEY_BYTES:
        message = f"A key has 1 to {MAX_KEY_BYTES} bytes in UTF-8, not {size}."
        raise RequestRefused(message, field="key")
    if "\0" in key:
        raise RequestRefused("A key has no NUL character.", field="key")
    return key


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of an object's content, with names in lower case.

    Raises:
        RequestRefused: When one is not allowed.

    >>> checked_headers({"Content-Type": "text/plain"})
    {'content-type': 'text/plain'}
    """
    checked = {}
    for name, value in headers.items():
        if name.lower() not in CONTENT_HEADERS:
            allowed = ", ".join(sorted(CONTENT_HEADERS))
            message = f"{name!r:.60} is not a header of an object; those are {allowed}."
            raise RequestRefused(message, field="headers")
        if not value.isascii() or not value.isprintable():
            message = f"The value of {name} must be printable ASCII."
            raise RequestRefused(message, field="headers")
        checked[name.lower()] = value
    return checked


def content_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return those headers of a request, in lower case, that are of an object's content.

    >>> content_headers({"content-type": "text/plain", "host": "localhost"})
    {'content-type': 'text/plain'}
    """
    named = {name: value for name, value in headers.items() if name in CONTENT_HEADERS}
    return checked_headers(named)


def _description(info: ObjectInfo) -> ObjectDescription:
    properties = info.properties
    return ObjectDescription(
        key=info.key,
        size=info.size,
        etag=info.etag,
        modified_at=info.modified,
        md5=properties.md5,
        headers=properties.headers,
        public=properties.public,
    )


@contextmanager
def _missing_named(key: str) -> Iterator[None]:
    """Name the object that is missing."""
    try:
        yield
    except ObjectNotFound:
        raise ObjectNotFound(_missing(key), field="key") from None


def _missing(key: str) -> str:
    return f"There is no object {key!r:.200} in your bucket."


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data
