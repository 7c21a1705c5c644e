"""Objects that are too large for one request of S3 to copy: they are copied in parts."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from picloud_driver.bucket import ObjectProperties
from picloud_driver.bucket.s3 import S3Buckets
from picloud_driver.s3.object_values import S3Properties
from picloud_model.errors import ObjectChanged, ObjectNotFound

from tests.contract.bucket_adapters import ACCOUNT, S3Bucket, get, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 1024 * 1024


@pytest.fixture(params=["versitygw", "moto"])
async def buckets(request: pytest.FixtureRequest) -> AsyncIterator[S3Buckets]:
    """A port that copies up to 6 MiB in one request, as AWS does up to 5 GiB."""
    site: S3Bucket = request.getfixturevalue(f"{request.param}_site")
    opened = S3Buckets(site.access, copy_bytes=6 * MIB)
    yield opened
    await opened.close()


@pytest.mark.parametrize("size", [6 * MIB, 6 * MIB + 1, 13 * MIB])
async def test_a_large_object_is_copied_in_parts(buckets: S3Buckets, size: int) -> None:
    """It has the bytes, the MD5 and the properties of its source; nothing else is left."""
    data = os.urandom(size)
    md5 = hashlib.md5(data).hexdigest()
    properties = ObjectProperties({"content-type": "text/x"}, public=True, md5=md5)
    await buckets.put(ACCOUNT, "a//b", stream(data), properties=properties)

    copied = await buckets.copy(ACCOUNT, "a//b", "c")

    assert await get(buckets, "c") == data
    assert copied.properties == properties
    assert await buckets.unfinished_bytes(ACCOUNT) == 0


async def test_a_copy_has_one_version(buckets: S3Buckets) -> None:
    """A source that is replaced while its parts are copied is an error; nothing is stored."""
    await buckets.put(ACCOUNT, "a", stream(os.urandom(13 * MIB)))
    objects, path = buckets._objects, buckets._path(ACCOUNT, "a")
    found = objects.head(path)
    await buckets.put(ACCOUNT, "a", stream(os.urandom(13 * MIB)))

    with pytest.raises(ObjectChanged):
        objects.copy(found, buckets._path(ACCOUNT, "b"), S3Properties({}, public=False, md5=""))

    with pytest.raises(ObjectNotFound):
        await buckets.head(ACCOUNT, "b")
    assert await buckets.unfinished_bytes(ACCOUNT) == 0


async def test_a_large_object_gets_other_properties(buckets: S3Buckets) -> None:
    """A copy onto itself, as when an object is published, keeps its bytes and its MD5."""
    data = os.urandom(13 * MIB)
    before = await buckets.put(ACCOUNT, "a", stream(data))

    after = await buckets.copy(ACCOUNT, "a", "a", ObjectProperties({}, public=True))

    assert after.properties == ObjectProperties({}, public=True, md5=before.properties.md5)
    assert await get(buckets, "a") == data
    assert (await buckets.head(ACCOUNT, "a")).etag == after.etag
