"""The quota of a bucket: counted only when it could be exceeded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.usecases.storage.bucket import Buckets
from picloud_api.usecases.storage.bucket_quota import BucketQuota
from picloud_driver.bucket.directory import DirectoryBuckets
from picloud_model.errors import BucketFull, ObjectNotFound
from picloud_model.wire.bucket import (
    WHOLE_OBJECT_BYTES,
    AbortUploadRequest,
    PutObjectRequest,
    WriteObjectQuery,
    WritePartQuery,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ACCOUNT = "a0000001"


async def no_volumes(account: str) -> int:
    """Return how many bytes the volumes of an account have: it has none."""
    del account
    return 0


@pytest.fixture
def buckets(tmp_path: Path) -> Buckets:
    """Buckets of at most 100 bytes."""
    port = DirectoryBuckets(tmp_path)
    return Buckets(port, BucketQuota(port, 100, no_volumes))


def request(key: str, size: int, *, whole: bool = True) -> PutObjectRequest:
    """Return a request for an object, with its bytes or without."""
    data = bytes(size)
    md5 = hashlib.md5(data).hexdigest()
    return PutObjectRequest(key=key, size=size, md5=md5, data=data if whole else None)


async def test_an_upload_is_refused_before_it_begins(buckets: Buckets) -> None:
    """The sentence says how full the bucket is; nothing is stored."""
    await buckets.put(ACCOUNT, request("a", 60))

    for whole in (True, False):
        with pytest.raises(BucketFull, match="have 60 of 100 bytes, so 41 more do not fit"):
            await buckets.put(ACCOUNT, request("b", 41, whole=whole))
    await buckets.put(ACCOUNT, request("c", 40))

    with pytest.raises(ObjectNotFound):
        await buckets.info(ACCOUNT, "b")


async def test_bytes_that_come_unannounced_are_refused(buckets: Buckets) -> None:
    """Their length has to be known, and is counted like any other."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(101)

    query = WriteObjectQuery(key="a", md5=hashlib.md5(bytes(101)).hexdigest())

    with pytest.raises(BucketFull):
        await buckets.write(ACCOUNT, query, chunks(), {}, size=101)
    with pytest.raises(ObjectNotFound):
        await buckets.info(ACCOUNT, "a")


async def test_what_was_removed_or_replaced_leaves_room(buckets: Buckets) -> None:
    """It is counted anew when it could be too much."""
    for _ in range(5):
        await buckets.put(ACCOUNT, request("a", 90))
    await buckets.remove(ACCOUNT, ["a"])

    await buckets.put(ACCOUNT, request("b", 100))


async def test_each_account_has_its_own(buckets: Buckets) -> None:
    """A full bucket is full for its account only."""
    await buckets.put(ACCOUNT, request("a", 100))

    await buckets.put("a0000002", request("a", 100))


async def test_all_objects_are_counted(tmp_path: Path) -> None:
    """Page after page."""
    port = DirectoryBuckets(tmp_path)
    quota = BucketQuota(port, 10**6, no_volumes)
    buckets = Buckets(port, quota)
    for number in range(1003):
        await buckets.put(ACCOUNT, request(f"{number}", 2))

    assert await quota.count(ACCOUNT) == 2006


async def test_parts_of_an_upload_that_is_never_finished_count(tmp_path: Path) -> None:
    """They take room as objects do, until the upload is given up."""
    port = DirectoryBuckets(tmp_path)
    quota = WHOLE_OBJECT_BYTES + 500
    buckets = Buckets(port, BucketQuota(port, quota, no_volumes))
    begun = PutObjectRequest(key="large", size=WHOLE_OBJECT_BYTES + 1, md5="")
    upload = (await buckets.put(ACCOUNT, begun)).upload
    query = WritePartQuery(key="large", upload=upload, number=1, md5="")
    await buckets.write_part(ACCOUNT, query, chunks(700), size=700)
    await buckets.put(ACCOUNT, request("a", 200))

    restarted = Buckets(port, BucketQuota(port, quota, no_volumes))
    for each in (buckets, restarted):
        with pytest.raises(BucketFull, match="have 900 of"):
            await each.put(ACCOUNT, msgspec.structs.replace(begun, key="b"))
    await buckets.abort(ACCOUNT, AbortUploadRequest(key="large", upload=upload))
    await buckets.put(ACCOUNT, msgspec.structs.replace(begun, key="b"))


async def chunks(size: int) -> AsyncIterator[bytes]:
    """Yield so many bytes."""
    yield bytes(size)
