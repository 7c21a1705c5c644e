"""What every store of buckets promises of objects that are written in parts."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import time
from typing import TYPE_CHECKING

import pytest
from picloud_driver.bucket import ObjectPart, ObjectProperties
from picloud_driver.bucket.port import PART_BYTES
from picloud_model.errors import ObjectChanged, RequestRefused, UploadNotFound

from tests.contract.bucket_adapters import ACCOUNT, all_keys, get, put, stream

if TYPE_CHECKING:
    from picloud_driver.bucket import BucketPort

    from tests.contract.bucket_adapters import BucketSite

TICK_S = 0.05


@pytest.fixture
def object_site(durable_site: BucketSite) -> BucketSite:
    """The stores that promise this."""
    return durable_site


async def write_part(
    buckets: BucketPort, upload: str, number: int, data: bytes, key: str = "a/b"
) -> ObjectPart:
    """Write a part of an object."""
    return await buckets.put_part(ACCOUNT, key, upload, number, stream(data))


async def test_parts_become_an_object(buckets: BucketPort) -> None:
    """In any order, with gaps in their numbers; before the end there is no object."""
    first, last = os.urandom(PART_BYTES), os.urandom(100)
    properties = ObjectProperties({"content-type": "text/x"}, public=True)
    upload = await buckets.start_upload(ACCOUNT, "a/b", properties)

    two = await write_part(buckets, upload, 7, last)
    one = await write_part(buckets, upload, 2, first)

    assert await buckets.parts(ACCOUNT, "a/b", upload) == [one, two]
    assert (one.number, one.size, one.md5) == (2, PART_BYTES, hashlib.md5(first).hexdigest())
    assert await all_keys(buckets) == []
    info = await buckets.finish_upload(ACCOUNT, "a/b", upload, [one, two])
    digest = hashlib.md5(bytes.fromhex(one.md5) + bytes.fromhex(two.md5)).hexdigest()
    assert (info.size, info.etag) == (PART_BYTES + 100, f"{digest}-2")
    assert info.properties == properties
    assert info == await buckets.head(ACCOUNT, "a/b")
    assert await get(buckets, "a/b") == first + last


async def test_the_stated_md5_stays(buckets: BucketPort) -> None:
    """A writer that knows the MD5 of the whole states it when it begins."""
    properties = ObjectProperties(md5=hashlib.md5(b"x").hexdigest())
    upload = await buckets.start_upload(ACCOUNT, "a/b", properties)
    part = await write_part(buckets, upload, 1, b"x")

    info = await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])

    assert info.properties == properties
    assert info.etag.endswith("-1")


async def test_the_md5_may_be_stated_at_the_end(buckets: BucketPort) -> None:
    """It stays with a copy of the object, and is not that of what replaces it."""
    parts, md5 = [], hashlib.md5(b"x").hexdigest()
    for _ in range(2):
        upload = await buckets.start_upload(ACCOUNT, "a/b", ObjectProperties(public=True))
        parts = [await write_part(buckets, upload, 1, b"x")]
        info = await buckets.finish_upload(ACCOUNT, "a/b", upload, parts, md5=md5)

    assert info.properties == ObjectProperties(public=True, md5=md5)
    assert info == await buckets.head(ACCOUNT, "a/b")
    assert info == await buckets.finish_upload(ACCOUNT, "a/b", upload, parts, md5=md5)
    assert (await buckets.get(ACCOUNT, "a/b")).info == info
    copied = await buckets.copy(ACCOUNT, "a/b", "copy")
    assert copied.properties == info.properties
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    other = [await write_part(buckets, upload, 1, b"other")]
    replaced = await buckets.finish_upload(ACCOUNT, "a/b", upload, other)
    assert replaced.properties == ObjectProperties()


async def test_the_latest_part_of_a_number_counts(buckets: BucketPort) -> None:
    """A part may be written again, and one that is not named is left out."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    await write_part(buckets, upload, 1, b"first")
    again = await write_part(buckets, upload, 1, b"second")
    await write_part(buckets, upload, 2, b"left out")

    await buckets.finish_upload(ACCOUNT, "a/b", upload, [ObjectPart(1, again.md5)])

    assert await get(buckets, "a/b") == b"second"


async def test_an_upload_is_finished_once(buckets: BucketPort) -> None:
    """Finishing it again returns the same object; then it has no parts, and takes none."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    part = await write_part(buckets, upload, 1, b"x")
    info = await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])

    assert (await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])).etag == info.etag
    with pytest.raises(UploadNotFound):
        await write_part(buckets, upload, 2, b"x")
    with pytest.raises(UploadNotFound):
        await buckets.parts(ACCOUNT, "a/b", upload)
    await put(buckets, "a/b", b"other")
    with pytest.raises(UploadNotFound):
        await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])
    assert await get(buckets, "a/b") == b"other"


async def test_a_condition_holds_at_the_end(buckets: BucketPort) -> None:
    """With `absent`, an object written meanwhile stays, and the upload goes on."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    part = await write_part(buckets, upload, 1, b"x")
    await put(buckets, "a/b", b"other")

    with pytest.raises(ObjectChanged):
        await buckets.finish_upload(ACCOUNT, "a/b", upload, [part], absent=True)

    assert await get(buckets, "a/b") == b"other"
    await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])
    assert await get(buckets, "a/b") == b"x"


async def test_wrong_parts_are_no_object(buckets: BucketPort) -> None:
    """None, not ascending, missing, changed or too small parts are refused; the upload goes on."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    one = await write_part(buckets, upload, 1, b"small")
    two = await write_part(buckets, upload, 2, b"last")

    for parts in (
        [],
        [two, one],
        [one, one],
        [one, two],
        [ObjectPart(3, one.md5)],
        [ObjectPart(1, two.md5)],
        [ObjectPart(0, one.md5)],
    ):
        with pytest.raises(RequestRefused):
            await buckets.finish_upload(ACCOUNT, "a/b", upload, parts)
    assert await all_keys(buckets) == []
    await buckets.finish_upload(ACCOUNT, "a/b", upload, [one])
    assert await get(buckets, "a/b") == b"small"


@pytest.mark.parametrize("number", [0, -1, 10_001])
async def test_parts_are_numbered_from_1_to_10000(buckets: BucketPort, number: int) -> None:
    """Another number is refused."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")

    with pytest.raises(RequestRefused, match="number of a part"):
        await write_part(buckets, upload, number, b"x")
    await write_part(buckets, upload, 10_000, b"x")


async def test_an_upload_is_given_up(buckets: BucketPort) -> None:
    """Its parts are gone; giving it up again is not an error."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")
    part = await write_part(buckets, upload, 1, b"x")

    for _ in range(2):
        await buckets.abort_upload(ACCOUNT, "a/b", upload)

    with pytest.raises(UploadNotFound):
        await buckets.parts(ACCOUNT, "a/b", upload)
    with pytest.raises(UploadNotFound):
        await buckets.finish_upload(ACCOUNT, "a/b", upload, [part])
    assert await all_keys(buckets) == []


@pytest.mark.parametrize("upload", ["", "x", "../../objects", "0" * 32, "a/b", "\0"])
async def test_an_unknown_upload_is_not_found(buckets: BucketPort, upload: str) -> None:
    """An id that was made up leads nowhere."""
    with pytest.raises(UploadNotFound):
        await write_part(buckets, upload, 1, b"x")
    with pytest.raises(UploadNotFound):
        await buckets.parts(ACCOUNT, "a/b", upload)
    await buckets.abort_upload(ACCOUNT, "a/b", upload)


async def test_an_upload_belongs_to_its_key(buckets: BucketPort) -> None:
    """With another key or account, it is unknown."""
    upload = await buckets.start_upload(ACCOUNT, "a/b")

    with pytest.raises(UploadNotFound):
        await write_part(buckets, upload, 1, b"x", key="a/c")
    with pytest.raises(UploadNotFound):
        await buckets.parts("a0000002", "a/b", upload)
    await buckets.abort_upload("a0000002", "a/b", upload)
    assert await buckets.parts(ACCOUNT, "a/b", upload) == []


async def test_the_parts_of_unfinished_uploads_have_a_size(buckets: BucketPort) -> None:
    """Of one account, under all its keys; what was finished or given up does not count."""
    assert await buckets.unfinished_bytes(ACCOUNT) == 0
    uploads = {key: await buckets.start_upload(ACCOUNT, key) for key in ("a/b", "c", "done")}
    foreign = await buckets.start_upload("a0000002", "a/b")
    await buckets.put_part("a0000002", "a/b", foreign, 1, stream(b"xx"))
    for key, upload in uploads.items():
        part = await write_part(buckets, upload, 1, b"123", key=key)
    await buckets.finish_upload(ACCOUNT, "done", uploads["done"], [part])

    assert await buckets.unfinished_bytes(ACCOUNT) == 6

    await buckets.abort_upload(ACCOUNT, "c", uploads["c"])
    assert await buckets.unfinished_bytes(ACCOUNT) == 3


async def test_uploads_that_were_given_up_are_removed(buckets: BucketPort) -> None:
    """Of all accounts; not one that something was written to since, however old it is."""
    finished = await buckets.start_upload(ACCOUNT, "done")
    part = await buckets.put_part(ACCOUNT, "done", finished, 1, stream(b"x"))
    await buckets.finish_upload(ACCOUNT, "done", finished, [part])
    old = [await buckets.start_upload(account, "a/b") for account in (ACCOUNT, "a0000002")]
    used = await buckets.start_upload(ACCOUNT, "a/b")
    before = time.time()
    # S3 has times in whole seconds, rounded down, and a file that of the clock's last tick.
    await asyncio.sleep(math.ceil(before) - before + TICK_S)
    await write_part(buckets, used, 1, b"x")

    assert await buckets.abort_old_uploads(before - 60) == 0
    assert await buckets.abort_old_uploads(before) == 2

    assert [each.number for each in await buckets.parts(ACCOUNT, "a/b", used)] == [1]
    for account, upload in zip((ACCOUNT, "a0000002"), old, strict=True):
        with pytest.raises(UploadNotFound):
            await buckets.parts(account, "a/b", upload)
    assert await buckets.abort_old_uploads(time.time() + 60) == 1
    assert await all_keys(buckets) == ["done"]
