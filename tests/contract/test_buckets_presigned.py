"""What presigned URLs of buckets permit, on a server that checks them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from picloud_driver.blob.port import Presigned
from picloud_driver.bucket import ObjectPart, ObjectProperties, WriteCondition
from picloud_driver.bucket.port import ONE_PUT_BYTES, PART_BYTES
from picloud_model.errors import RequestRefused, TooLarge

from tests.contract.bucket_adapters import ACCOUNT, all_keys, get, put

if TYPE_CHECKING:
    from picloud_driver.bucket import BucketPort

    from tests.contract.bucket_adapters import BucketSite

KEY = "a b/.//é%" + "x" * 300
DATA = b"bytes"
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def object_site(versitygw_site: BucketSite) -> BucketSite:
    """The store that has such URLs, as users have it."""
    return versitygw_site


def send(
    method: str, presigned: Presigned | None, body: bytes = b"", **headers: str
) -> urllib3.BaseHTTPResponse:
    """Send a request as a client does."""
    assert presigned is not None
    return urllib3.request(
        method, presigned.url, body=body, headers={**presigned.headers, **headers}
    )


async def test_the_stated_bytes_can_be_written(buckets: BucketPort) -> None:
    """With the properties that were stated, and no others."""
    properties = ObjectProperties({"content-type": "text/x"}, public=True, md5=MD5)
    presigned = await buckets.presign_put(ACCOUNT, KEY, len(DATA), properties=properties)

    assert send("PUT", presigned, b"other").status == 400
    assert send("PUT", presigned, b"longer than stated").status >= 400
    assert send("PUT", presigned, DATA, **{"content-type": "text/y"}).status == 403
    assert await all_keys(buckets) == []
    assert send("PUT", presigned, DATA).status == 200
    assert await get(buckets, KEY) == DATA
    assert (await buckets.head(ACCOUNT, KEY)).properties == properties


async def test_urls_end_soon(buckets: BucketPort) -> None:
    """The signed part says so: a key that is deactivated is outlived by five minutes."""
    upload = await buckets.start_upload(ACCOUNT, KEY)

    urls = [
        await buckets.presign_get(ACCOUNT, KEY),
        await buckets.presign_put(ACCOUNT, KEY, 5, properties=ObjectProperties(md5=MD5)),
        await buckets.presign_part(ACCOUNT, KEY, upload, ObjectPart(1, MD5, len(DATA))),
    ]

    for presigned in urls:
        assert presigned is not None
        assert parse_qs(urlsplit(presigned.url).query)["X-Amz-Expires"] == ["300"]


async def test_a_condition_is_part_of_a_url(buckets: BucketPort) -> None:
    """A client cannot leave it out."""
    first = await put(buckets, KEY, b"first")
    properties = ObjectProperties(md5=MD5)

    async def write(condition: WriteCondition) -> int:
        presigned = await buckets.presign_put(
            ACCOUNT, KEY, len(DATA), properties=properties, condition=condition
        )
        assert presigned is not None
        bare = {name: presigned.headers[name] for name in ("content-md5", "x-amz-meta-md5")}
        assert send("PUT", Presigned(presigned.url, bare), DATA).status == 403
        return send("PUT", presigned, DATA).status

    assert await write(WriteCondition(absent=True)) == 412
    assert await write(WriteCondition(etag="0" * 32)) == 412
    assert await write(WriteCondition(etag=first.etag)) == 200
    assert await get(buckets, KEY) == DATA


async def test_parts_can_be_written(buckets: BucketPort) -> None:
    """Each with the stated bytes only; the object is as large as its parts."""
    bodies = [bytes(PART_BYTES), DATA]
    upload = await buckets.start_upload(ACCOUNT, KEY)
    parts = [
        ObjectPart(number, hashlib.md5(body).hexdigest(), len(body))
        for number, body in enumerate(bodies, 1)
    ]

    for part, body in zip(parts, bodies, strict=True):
        presigned = await buckets.presign_part(ACCOUNT, KEY, upload, part)
        assert send("PUT", presigned, b"x" * part.size).status == 400
        assert send("PUT", presigned, body).status == 200

    assert await buckets.parts(ACCOUNT, KEY, upload) == parts
    info = await buckets.finish_upload(ACCOUNT, KEY, upload, parts)
    assert info.size == PART_BYTES + len(DATA)


async def test_a_part_may_be_written_before_its_md5_is_known(buckets: BucketPort) -> None:
    """As many bytes as stated; what they are is checked at the end."""
    upload = await buckets.start_upload(ACCOUNT, KEY)
    presigned = await buckets.presign_part(ACCOUNT, KEY, upload, ObjectPart(1, "", len(DATA)))

    assert send("PUT", presigned, b"longer than stated").status == 403
    assert send("PUT", presigned, DATA).status == 200

    with pytest.raises(RequestRefused):
        await buckets.finish_upload(ACCOUNT, KEY, upload, [ObjectPart(1, "0" * 32)])
    await buckets.finish_upload(ACCOUNT, KEY, upload, [ObjectPart(1, MD5)])
    assert await get(buckets, KEY) == DATA


async def test_an_object_can_be_read_in_ranges(buckets: BucketPort) -> None:
    """A range and a condition may be added; neither writing nor another key is permitted."""
    info = await put(buckets, KEY, DATA)
    presigned = await buckets.presign_get(ACCOUNT, KEY)

    assert send("GET", presigned).data == DATA
    part = send("GET", presigned, **{"Range": "bytes=1-2", "If-Match": f'"{info.etag}"'})
    assert (part.status, part.data) == (206, b"yt")
    assert send("GET", presigned, **{"If-Match": '"other"'}).status == 412
    assert send("PUT", presigned, b"evil").status == 403
    assert send("HEAD", presigned).status == 403
    assert presigned is not None
    other = Presigned(presigned.url.replace("x" * 9, "y" * 9))
    assert send("GET", other).status in {403, 404}
    assert await get(buckets, KEY) == DATA


async def test_what_cannot_be_written_is_not_signed(buckets: BucketPort) -> None:
    """A size above 5 GiB, and bytes without an MD5."""
    properties = ObjectProperties(md5=MD5)

    with pytest.raises(TooLarge):
        await buckets.presign_put(ACCOUNT, KEY, ONE_PUT_BYTES + 1, properties=properties)
    with pytest.raises(TooLarge):
        part = ObjectPart(1, MD5, ONE_PUT_BYTES + 1)
        await buckets.presign_part(ACCOUNT, KEY, "an-upload", part)
    with pytest.raises(RequestRefused):
        await buckets.presign_put(ACCOUNT, KEY, 1, properties=ObjectProperties())
