"""Buckets as files below a directory: the adapter of the embedded stack."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from msgspec.structs import replace
from picloud_model.errors import ObjectChanged, ObjectNotFound, TooLarge, UploadNotFound

from picloud_driver import disk
from picloud_driver.bucket import check
from picloud_driver.bucket.chunks import ThreadedChunks, pieces
from picloud_driver.bucket.key import decoded, decoded_folder
from picloud_driver.bucket.object_directory import ObjectDirectory, StartedUpload
from picloud_driver.bucket.object_file import FileRecord
from picloud_driver.bucket.port import (
    ALWAYS,
    NONE,
    ONE_PUT_BYTES,
    PAGE_KEYS,
    BucketPort,
    ObjectEntry,
    ObjectInfo,
    ObjectPage,
    ObjectPart,
    ObjectProperties,
    OpenObject,
    WriteCondition,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from picloud_driver.blob.port import Presigned
    from picloud_driver.bucket.object_file import NewFile, ObjectFile

_T = TypeVar("_T")

_CHUNK: Final = 1024 * 1024


class DirectoryBuckets(BucketPort):
    """Keeps each object as a separate file that only the server's user can read.

    An object is written under a temporary name and then renamed; `key.encoded` makes a path of its
    key. A lock makes it one step to check a condition and to write.

    Args:
        root: The directory of the buckets; made if missing.
        sync: Whether a completed write survives power loss, and not only the end of the process.
        now: Returns the time in seconds since 1970.

    Raises:
        Unavailable: When the directory cannot be used.
    """

    adapter: ClassVar[str] = "directory"

    def __init__(
        self, root: Path, *, sync: bool = False, now: Callable[[], float] = time.time
    ) -> None:
        self._root = root
        self._now = now
        with disk.faults(root):
            self._files = ObjectDirectory(root, sync=sync)

    def __repr__(self) -> str:
        return f"DirectoryBuckets({str(self._root)!r})"

    async def put(
        self,
        account: str,
        key: str,
        chunks: AsyncIterable[bytes],
        *,
        properties: ObjectProperties = NONE,
        condition: WriteCondition = ALWAYS,
    ) -> ObjectInfo:
        """See `BucketPort.put`."""
        check.checked_names(account, key)
        check.checked_properties(properties)
        async with self._written(chunks) as new:
            return await self._run(self._store, account, key, new, properties, condition)

    async def get(
        self, account: str, key: str, start: int = 0, end: int | None = None, *, etag: str = ""
    ) -> OpenObject:
        """See `BucketPort.get`."""
        check.checked_names(account, key)
        check.checked_range(start, end)
        file = await self._run(self._files.open, account, key)
        if etag and file.record.etag != etag:
            file.close()
            raise ObjectChanged(f"The object {key!r} was written meanwhile.")
        at, stop = start, file.size if end is None else min(end, file.size)

        def read() -> bytes:
            nonlocal at
            data: bytes = file.read(at, min(stop - at, _CHUNK))
            at += len(data)
            return data

        return OpenObject(file.info(key), ThreadedChunks(read, file.close, self._run))

    async def head(self, account: str, key: str) -> ObjectInfo:
        """See `BucketPort.head`."""
        check.checked_names(account, key)
        return await self._run(self._head, account, key)

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
        wanted = check.checked_listing(prefix, after, folders=folders)
        check.checked_account(account)
        check.checked_count(limit, "limit")
        return await self._run(self._page, account, wanted, folders, limit)

    async def delete(self, account: str, keys: Sequence[str]) -> None:
        """See `BucketPort.delete`."""
        check.checked_names(account, *keys)
        if keys:
            check.checked_count(len(keys), "keys")
            await self._run(self._files.remove, account, keys)

    async def copy(
        self, account: str, source: str, target: str, properties: ObjectProperties | None = None
    ) -> ObjectInfo:
        """See `BucketPort.copy`."""
        check.checked_names(account, source, target)
        check.checked_properties(properties or NONE)
        return await self._run(self._copy, account, source, target, properties)

    async def start_upload(
        self, account: str, key: str, properties: ObjectProperties = NONE
    ) -> str:
        """See `BucketPort.start_upload`."""
        check.checked_names(account, key)
        started = StartedUpload(key, check.checked_properties(properties))
        return await self._run(self._files.start_upload, account, started)

    async def put_part(
        self, account: str, key: str, upload: str, number: int, chunks: AsyncIterable[bytes]
    ) -> ObjectPart:
        """See `BucketPort.put_part`."""
        check.checked_names(account, key)
        check.checked_number(number)
        await self._run(self._files.upload, account, key, upload)
        async with self._written(chunks) as new:
            return await self._run(self._store_part, account, upload, number, new)

    async def parts(self, account: str, key: str, upload: str) -> list[ObjectPart]:
        """See `BucketPort.parts`."""
        check.checked_names(account, key)
        await self._run(self._files.upload, account, key, upload)
        return await self._run(self._files.parts, account, upload)

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
        check.checked_names(account, key)
        check.checked_parts(parts)
        condition = WriteCondition(absent=absent)
        finish = functools.partial(self._finish_upload, condition=condition, md5=md5)
        return await self._run(finish, account, key, upload, parts)

    async def abort_upload(self, account: str, key: str, upload: str) -> None:
        """See `BucketPort.abort_upload`."""
        check.checked_names(account, key)
        with contextlib.suppress(UploadNotFound):
            await self._run(self._files.upload, account, key, upload)
            await self._run(self._files.remove_upload, account, upload)

    async def unfinished_bytes(self, account: str) -> int:
        """See `BucketPort.unfinished_bytes`."""
        check.checked_names(account, "-")
        return await self._run(self._files.unfinished_bytes, account)

    async def abort_old_uploads(self, before: float) -> int:
        """See `BucketPort.abort_old_uploads`."""
        return await self._run(self._files.remove_old_uploads, before)

    async def presign_put(
        self,
        account: str,  # noqa: ARG002
        key: str,  # noqa: ARG002
        size: int,  # noqa: ARG002
        *,
        properties: ObjectProperties,  # noqa: ARG002
        condition: WriteCondition = ALWAYS,  # noqa: ARG002
    ) -> Presigned | None:
        """Return None: clients write through the API."""
        return None

    async def presign_part(
        self,
        account: str,  # noqa: ARG002
        key: str,  # noqa: ARG002
        upload: str,  # noqa: ARG002
        part: ObjectPart,  # noqa: ARG002
    ) -> Presigned | None:
        """Return None: clients write through the API."""
        return None

    async def presign_get(self, account: str, key: str) -> Presigned | None:  # noqa: ARG002
        """Return None: clients read through the API."""
        return None

    async def close(self) -> None:
        """See `BucketPort.close`; nothing is open between calls."""

    async def _run(self, function: Callable[..., _T], *arguments: object) -> _T:
        with disk.faults(self._root):
            return await asyncio.to_thread(function, *arguments)

    @contextlib.asynccontextmanager
    async def _written(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[NewFile]:
        """Write chunks to a new file, which is removed unless it gets a name."""
        new: NewFile = await self._run(self._files.new_file)
        try:
            async for piece in pieces(chunks, _CHUNK):
                await self._run(new.write, piece)
                if new.size > ONE_PUT_BYTES:
                    message = "At most 5 GiB are written at once; write a larger object in parts."
                    raise TooLarge(message)
            yield new
        finally:
            await self._run(new.discard)

    def _store(
        self,
        account: str,
        key: str,
        new: NewFile,
        properties: ObjectProperties,
        condition: WriteCondition,
    ) -> ObjectInfo:
        md5 = check.stated_md5(new.md5, properties.md5)
        stated = ObjectProperties(properties.headers, properties.public, md5)
        record = FileRecord(etag=md5, modified=self._now(), properties=stated)
        info = new.finish(key, record, sync=self._files.sync)
        self._files.place(new, account, key, condition)
        return info

    def _head(self, account: str, key: str) -> ObjectInfo:
        with contextlib.closing(self._files.open(account, key)) as file:
            return file.info(key)

    def _page(self, account: str, wanted: tuple[str, str], folders: bool, limit: int) -> ObjectPage:
        objects: list[ObjectEntry] = []
        names: list[str] = []
        for path in self._files.paths(account, *wanted, folders=folders):
            if len(objects) + len(names) == limit:
                return ObjectPage(objects, names, truncated=True)
            if path.endswith("/"):
                names.append(decoded_folder(path) or "")
            elif key := decoded(path):
                # It may have been removed meanwhile.
                with contextlib.suppress(ObjectNotFound):
                    objects.append(self._entry(account, key))
        return ObjectPage(objects, names, truncated=False)

    def _entry(self, account: str, key: str) -> ObjectEntry:
        with contextlib.closing(self._files.open(account, key)) as file:
            return file.entry(key)

    def _copy(
        self, account: str, source: str, target: str, properties: ObjectProperties | None
    ) -> ObjectInfo:
        with contextlib.closing(self._files.open(account, source)) as file:
            kept = file.record.properties
            if properties:
                kept = ObjectProperties(properties.headers, properties.public, kept.md5)
            record = FileRecord(etag=file.record.etag, modified=self._now(), properties=kept)
            return self._join(account, target, [file], record, ALWAYS)

    def _store_part(self, account: str, upload: str, number: int, new: NewFile) -> ObjectPart:
        new.finish("", FileRecord(etag=new.md5, modified=self._now()), sync=self._files.sync)
        self._files.place_part(new, account, upload, number)
        return ObjectPart(number, new.md5, new.size)

    def _finish_upload(
        self,
        account: str,
        key: str,
        upload: str,
        parts: Sequence[ObjectPart],
        *,
        condition: WriteCondition,
        md5: str,
    ) -> ObjectInfo:
        etag = check.etag_of(parts)
        try:
            started = self._files.upload(account, key, upload)
            matched = check.matched_parts(self._files.parts(account, upload), parts)
        except UploadNotFound:
            with contextlib.suppress(ObjectNotFound):
                info = self._head(account, key)
                if info.etag == etag:
                    return info
            raise
        properties = replace(started.properties, md5=md5 or started.properties.md5)
        record = FileRecord(etag=etag, modified=self._now(), properties=properties)
        files = self._files.open_parts(account, upload, matched)
        info = self._join(account, key, files, record, condition)
        self._files.remove_upload(account, upload)
        return info

    def _join(
        self,
        account: str,
        key: str,
        files: Iterable[ObjectFile],
        record: FileRecord,
        condition: WriteCondition,
    ) -> ObjectInfo:
        """Write an object that consists of the bytes of these files."""
        new = self._files.new_file()
        try:
            for file in files:
                new.add(file)
            info = new.finish(key, record, sync=self._files.sync)
            self._files.place(new, account, key, condition)
        finally:
            new.discard()
        return info
