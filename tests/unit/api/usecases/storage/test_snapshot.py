"""Snapshots: what is not one is refused."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.usecases.storage.blob_use import BlobUse
from picloud_api.usecases.storage.snapshot import Snapshots
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.errors import BlobMissing, RequestRefused, TooLarge
from picloud_model.wire.snapshot import ChunkRef, SnapshotChunk, SnapshotEntry, referred

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.api.api_harness import ApiHarness


async def test_other_blobs_are_refused(api: ApiHarness) -> None:
    """The message says what is wrong; a missing blob is named."""
    (digest,) = (await api.use_cases.storage.blobs.store(ACCOUNT, [b"other"])).digests
    blobs = DirectoryBlobs(api.root / "blobs")
    snapshots = Snapshots(blobs, BlobUse(api.server.context))

    with pytest.raises(RequestRefused, match="not a part of a snapshot"):
        await snapshots.read(ACCOUNT, digest)
    with pytest.raises(BlobMissing) as missing:
        await snapshots.read(ACCOUNT, "0" * 64)
    assert missing.value.digests == ("0" * 64,)


class CountingBlobs(DirectoryBlobs):
    """Counts the blobs that are looked for, and the requests for that."""

    looked_for = requests = 0

    async def missing(self, names: Sequence[str]) -> list[str]:
        """See `BlobPort.missing`."""
        self.looked_for += len(names)
        self.requests += 1
        return await super().missing(names)


async def chunk_of(api: ApiHarness, **files: bytes) -> ChunkRef:
    """Store files and a chunk of them, and return its reference."""
    await api.use_cases.storage.blobs.store(ACCOUNT, [*files.values()])
    entries = [
        SnapshotEntry(path=path, kind="f", size=len(data), parts=[sha256(data).hexdigest()])
        for path, data in sorted(files.items())
    ]
    data = msgspec.msgpack.encode(SnapshotChunk(entries))
    (digest,) = (await api.use_cases.storage.blobs.store(ACCOUNT, [data])).digests
    return referred(SnapshotChunk(entries), digest, len(data))


async def test_only_new_parts_are_looked_for(api: ApiHarness) -> None:
    """One file of a thousand may change: what the chunk had before is stored."""
    blobs = CountingBlobs(api.root / "blobs")
    snapshots = Snapshots(blobs, BlobUse(api.server.context))
    old = await chunk_of(api, a=b"one", b=b"two", c=b"three")
    new = await chunk_of(api, a=b"one", b=b"changed", c=b"three")

    await snapshots.check(ACCOUNT, [old], set())
    assert blobs.looked_for == 3
    await snapshots.check(ACCOUNT, [new], await snapshots.parts(ACCOUNT, [old]))
    assert blobs.looked_for == 4


async def test_chunks_are_checked_together(api: ApiHarness) -> None:
    """A few are read at a time, so that a large snapshot takes little memory. All their parts are
    looked for at once: S3 lists as many pages for a few of them.
    """
    blobs = CountingBlobs(api.root / "blobs")
    snapshots = Snapshots(blobs, BlobUse(api.server.context))
    chunks = [await chunk_of(api, **{f"{number:02}": b"%d" % number}) for number in range(20)]

    await snapshots.check(ACCOUNT, chunks, set())

    assert (blobs.looked_for, blobs.requests) == (20, 1)
    longer = msgspec.structs.replace(chunks[0], length=chunks[0].length - 1)
    with pytest.raises(TooLarge, match="should have up to"):
        await snapshots.check(ACCOUNT, [longer], set())
