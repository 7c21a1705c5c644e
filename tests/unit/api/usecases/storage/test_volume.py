"""Volumes: names, snapshots that are checked, and what refers to blobs."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace
from picloud_model.errors import (
    BlobMissing,
    RequestRefused,
    VolumeChanged,
    VolumeNotFound,
)
from picloud_model.wire.snapshot import Snapshot, SnapshotChunk, SnapshotEntry, referred
from picloud_model.wire.volume import CommitVolumeRequest, CreateVolumeRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def stored(api: ApiHarness, *entries: SnapshotEntry, wrong: int = 0) -> str:
    """Store a snapshot of one chunk and return its digest; its size may be wrong."""
    chunk = SnapshotChunk([*entries])
    data = msgspec.msgpack.encode(chunk)
    ref = referred(chunk, sha256(data).hexdigest(), len(data))
    root = msgspec.msgpack.encode(Snapshot([replace(ref, size=ref.size + wrong)]))
    digests = await api.use_cases.storage.blobs.store(ACCOUNT, [data, root])
    return digests.digests[1]


async def file_entry(api: ApiHarness, path: str, data: bytes) -> SnapshotEntry:
    """Store the bytes of a file and return its entry."""
    await api.use_cases.storage.blobs.store(ACCOUNT, [data])
    return SnapshotEntry(
        path=path, kind="f", mode=0o644, size=len(data), parts=[sha256(data).hexdigest()]
    )


async def test_a_volume_is_created_once(api: ApiHarness) -> None:
    """A repetition is not an error; another volume of the name is. Others see neither."""
    volumes = api.use_cases.storage.volumes
    request = CreateVolumeRequest(name="data", mount_path="/data/")
    created = await volumes.create(ACCOUNT, request)

    assert created.mount_path == "/data"
    assert await volumes.create(ACCOUNT, request) == created
    assert (await volumes.list(ACCOUNT)).volumes == [created]
    assert (await volumes.list(OTHER)).volumes == []
    with pytest.raises(RequestRefused, match="already a volume 'data'"):
        await volumes.create(ACCOUNT, replace(request, mount_path="/other"))
    for call in (volumes.get, volumes.delete):
        with pytest.raises(VolumeNotFound, match=r"no volume 'data' in your account\.$"):
            await call(OTHER, "data")
        with pytest.raises(VolumeNotFound, match="did you mean 'data'"):
            await call(ACCOUNT, "dta")


async def test_a_snapshot_replaces_the_one_it_was_made_from(api: ApiHarness) -> None:
    """A commit on top of an older snapshot is refused; the same one again is not an error."""
    volumes = api.use_cases.storage.volumes
    await volumes.create(ACCOUNT, CreateVolumeRequest(name="data", mount_path="/data"))
    first = await stored(api, await file_entry(api, "a", b"one"))
    second = await stored(api, await file_entry(api, "a", b"two2"))

    one = CommitVolumeRequest(name="data", base=0, snapshot=first)
    assert (await volumes.commit(ACCOUNT, one)).number == 1
    assert (await volumes.commit(ACCOUNT, one)).number == 1
    two = CommitVolumeRequest(name="data", base=0, snapshot=second)
    with pytest.raises(VolumeChanged):
        await volumes.commit(ACCOUNT, two)
    latest = await volumes.commit(ACCOUNT, replace(two, base=1))

    assert (latest.number, latest.size, latest.entries) == (2, 4, 1)
    named = {first, second, sha256(b"one").hexdigest(), sha256(b"two2").hexdigest()}
    references = api.use_cases.storage.sweep._references
    assert await references.unreferenced(ACCOUNT, named | {"0" * 64}) == {"0" * 64}
    await volumes.delete(ACCOUNT, "data")
    assert await references.unreferenced(ACCOUNT, named) == named


async def test_a_snapshot_is_checked_before_it_counts(api: ApiHarness) -> None:
    """Sizes, paths and parts that a client states are compared with what it stored."""
    volumes = api.use_cases.storage.volumes
    await volumes.create(ACCOUNT, CreateVolumeRequest(name="data", mount_path="/data"))
    entry = await file_entry(api, "a", b"one")
    wrong = [
        await stored(api, entry, wrong=-1),
        await stored(api, replace(entry, path="../a")),
        await stored(api, replace(entry, size=10**9)),
        await stored(api, entry, entry),
    ]

    for digest in wrong:
        with pytest.raises(RequestRefused):
            await volumes.commit(ACCOUNT, CommitVolumeRequest(name="data", base=0, snapshot=digest))
    lacking = await stored(api, replace(entry, parts=["0" * 64]))
    for digest in (lacking, "1" * 64):
        with pytest.raises(BlobMissing):
            await volumes.commit(ACCOUNT, CommitVolumeRequest(name="data", base=0, snapshot=digest))
    assert (await volumes.get(ACCOUNT, "data")).number == 0
