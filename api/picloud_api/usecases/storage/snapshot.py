"""Snapshots of volumes: read and checked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused, TooLarge
from picloud_model.wire.snapshot import (
    MAX_CHUNK_BYTES,
    ChunkRef,
    Snapshot,
    SnapshotChunk,
    check_entries,
    referred,
)

from picloud_api.store.blob_name import blob_name, digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from picloud_driver.blob import BlobPort

    from picloud_api.usecases.storage.blob_use import BlobUse

_AT_ONCE: Final = 16
"""Chunks that are read at the same time."""
_LOOKED_FOR: Final = 50_000
"""Parts that are looked for together, or few more. S3 lists their names, which are digests: fewer
parts are spread over as many pages."""

Decoded = TypeVar("Decoded")


class Snapshots:
    """Reads snapshots and checks new chunks.

    Args:
        blobs: Where they are.
        use: Keeps blobs that are referred to from now on.
    """

    def __init__(self, blobs: BlobPort, use: BlobUse) -> None:
        self._blobs = blobs
        self._use = use

    async def read(self, account: str, digest: str) -> Snapshot:
        """Return a snapshot.

        Raises:
            BlobMissing: When there is no such blob.
            RequestRefused: When the blob is something else.
        """
        await self._use.keep(account, [digest])
        return await _snapshot(self._blobs, account, digest)

    async def parts(self, account: str, refs: Iterable[ChunkRef]) -> set[str]:
        """Return the digests of the parts of all files in some chunks.

        Raises:
            BlobMissing: When a chunk is not stored.
        """
        found: set[str] = set()
        for some in _windows(refs):
            for chunk in await self._chunks(account, some):
                found.update(_parts(chunk))
        return found

    async def check(self, account: str, refs: Iterable[ChunkRef], stored: set[str]) -> None:
        """Check that chunks and the parts of their files are stored, and are as stated.

        Args:
            account: Whose they are.
            refs: What is stated of the chunks.
            stored: Parts that something refers to, so that they are stored.

        Raises:
            RequestRefused: When sizes or paths are wrong.
            BlobMissing: When something is not stored.
        """
        named: dict[str, None] = {}
        for some in _windows(refs):
            await self._use.keep(account, [ref.digest for ref in some])
            for ref, chunk in zip(some, await self._chunks(account, some), strict=True):
                if referred(chunk, ref.digest, ref.length) != ref:
                    raise RequestRefused("A chunk of the snapshot is not as the snapshot says.")
                check_entries(chunk)
                named.update((part, None) for part in _parts(chunk) if part not in stored)
            if len(named) >= _LOOKED_FOR:
                await self._check_parts(account, [*named])
                named.clear()
        await self._check_parts(account, [*named])

    async def _check_parts(self, account: str, parts: Sequence[str]) -> None:
        await self._use.keep(account, parts)
        missing = await self._blobs.missing([blob_name(account, part) for part in parts])
        if missing:
            raise BlobMissing(digests=tuple(digest_of(name) for name in missing[:100]))

    async def _chunks(self, account: str, refs: Sequence[ChunkRef]) -> list[SnapshotChunk]:
        reads = (_chunk(self._blobs, account, ref.digest, ref.length) for ref in refs)
        return await asyncio.gather(*reads)


def _windows(refs: Iterable[ChunkRef]) -> Iterator[list[ChunkRef]]:
    """Yield chunks that are read at the same time: a few, which are not too long together."""
    window: list[ChunkRef] = []
    for ref in refs:
        length = sum(each.length for each in window) + ref.length
        if window and (len(window) == _AT_ONCE or length > MAX_CHUNK_BYTES):
            yield window
            window = []
        window.append(ref)
    if window:
        yield window


def _parts(chunk: SnapshotChunk) -> Iterator[str]:
    for entry in chunk.entries:
        yield from entry.parts


async def blobs_of(blobs: BlobPort, account: str, digests: Sequence[str]) -> AsyncIterator[str]:
    """Yield the digests of all blobs of some snapshots; what several share comes once.

    Raises:
        BlobMissing: When a snapshot cannot be read, so that what it names is not known.
    """
    seen: set[str] = set()
    for digest in digests:
        yield digest
        for ref in (await _snapshot(blobs, account, digest)).chunks:
            if ref.digest not in seen:
                seen.add(ref.digest)
                yield ref.digest
                for entry in (await _chunk(blobs, account, ref.digest)).entries:
                    for part in entry.parts:
                        yield part


async def _snapshot(blobs: BlobPort, account: str, digest: str) -> Snapshot:
    return _decoded(await _read(blobs, account, digest), Snapshot)


async def _chunk(
    blobs: BlobPort, account: str, digest: str, most: int = MAX_CHUNK_BYTES
) -> SnapshotChunk:
    return _decoded(await _read(blobs, account, digest, most), SnapshotChunk)


async def _read(blobs: BlobPort, account: str, digest: str, most: int = MAX_CHUNK_BYTES) -> bytes:
    """Return a blob, which has no more bytes than are stated."""
    try:
        data = await blobs.get(blob_name(account, digest), 0, most + 1)
    except BlobMissing:
        raise BlobMissing(digests=(digest,)) from None
    if len(data) > most:
        raise TooLarge(f"This blob of a snapshot should have up to {most:,} bytes.")
    return data


def _decoded(data: bytes, kind: type[Decoded]) -> Decoded:
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise RequestRefused(f"The blob is not a part of a snapshot: {error}.") from error
