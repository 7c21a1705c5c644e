"""What S3 enforces of presigned URLs: exactly these bytes, under this name, once, for a while."""

import dataclasses
import hashlib
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from picloud_driver.blob.port import Presigned
from picloud_driver.blob.s3 import S3Blobs
from picloud_model.errors import RequestRefused, TooLarge

from tests.contract.blob_adapters import Bucket, collected

BODY = b"exactly these bytes"
DIGEST = hashlib.sha256(BODY).hexdigest()
CHECKSUM = "x-amz-checksum-sha256"
FREE = "if-none-match"


@pytest.fixture
async def bucket(bucket_site: Bucket) -> AsyncIterator[S3Blobs]:
    """A port on an empty bucket."""
    blobs = S3Blobs(bucket_site.access)
    yield blobs
    await blobs.close()


async def presigned(bucket: S3Blobs) -> Presigned:
    """A URL to write BODY to, as the blob `a/b`."""
    answer = await bucket.presign_put("a/b", len(BODY), DIGEST)
    assert answer is not None
    return answer


class Reply(NamedTuple):
    """The answer of S3."""

    status: int
    body: bytes


def send(method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Reply:
    """One request, as a client without credentials makes it."""
    with urllib3.PoolManager() as pool:
        answer = pool.request(method, url, body=body, headers=headers, retries=False)
        return Reply(answer.status, answer.data)


async def test_these_bytes_are_written(bucket: S3Blobs) -> None:
    """With its headers and the bytes it was made for, the URL writes the blob."""
    answer = await presigned(bucket)

    assert send("PUT", answer.url, BODY, answer.headers).status == 200
    assert await bucket.get("a/b") == BODY


async def test_a_taken_name_stays_as_it_was(bucket: S3Blobs) -> None:
    """A second PUT gets 412, as does one after another client wrote the blob."""
    answer = await presigned(bucket)
    await bucket.put("a/b", b"first")

    assert [send("PUT", answer.url, BODY, answer.headers).status for _ in range(2)] == [412, 412]
    assert await bucket.get("a/b") == b"first"


OTHER_CHECKSUM = "3q2+7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize(
    ("body", "changed", "status", "code"),
    [
        pytest.param(BODY[:-1] + b"S", {}, 400, b"BadDigest", id="altered"),
        pytest.param(BODY[:-1], {}, 403, b"SignatureDoesNotMatch", id="shorter"),
        pytest.param(BODY + b"!", {}, 403, b"SignatureDoesNotMatch", id="longer"),
        pytest.param(b"", {}, 403, b"SignatureDoesNotMatch", id="empty"),
        pytest.param(BODY, {CHECKSUM: None}, 403, b"SignatureDoesNotMatch", id="no checksum"),
        pytest.param(
            BODY, {CHECKSUM: OTHER_CHECKSUM}, 403, b"SignatureDoesNotMatch", id="other checksum"
        ),
        pytest.param(BODY, {FREE: None}, 403, b"SignatureDoesNotMatch", id="would write over"),
        pytest.param(BODY, {"x-amz-acl": "public-read"}, 403, b"", id="header of its own"),
    ],
)
async def test_anything_else_is_refused(
    bucket: S3Blobs, body: bytes, changed: dict[str, str | None], status: int, code: bytes
) -> None:
    """Other bytes, another length, and headers left out or changed are refused by S3 itself."""
    answer = await presigned(bucket)
    headers = {
        name: value for name, value in {**answer.headers, **changed}.items() if value is not None
    }

    reply = send("PUT", answer.url, body, headers)

    assert reply.status == status
    assert code in reply.body
    assert await collected(bucket.names("")) == []


async def test_a_url_is_for_one_thing(bucket: S3Blobs) -> None:
    """It serves no other name, no other method, and no longer time."""
    await bucket.put("c", b"kept")
    put, get = await presigned(bucket), await bucket.presign_get("c")
    assert get is not None

    for method, url in (
        ("PUT", put.url.replace("/a/b", "/a/c")),
        ("GET", get.url.replace("/c%21", "/d%21")),
        ("GET", put.url.replace("/a/b", "/c")),
        ("DELETE", get.url),
        ("PUT", put.url.replace("X-Amz-Expires=300", "X-Amz-Expires=9000")),
        ("GET", get.url.replace("X-Amz-Expires=60", "X-Amz-Expires=9000")),
    ):
        body = BODY if method == "PUT" else None
        assert send(method, url, body, put.headers).status == 403

    assert await collected(bucket.names("")) == ["c"]


async def test_it_ends_soon(bucket: S3Blobs) -> None:
    """The signed part says so: a minute for a URL to read, five for one to write."""
    put, get = await presigned(bucket), await bucket.presign_get("a/b")
    assert get is not None

    for url, seconds in ((put.url, "300"), (get.url, "60")):
        assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [seconds]
        assert "secret" not in url


async def test_bytes_are_read(bucket: S3Blobs) -> None:
    """A URL to read gives the bytes, also a range of them, and 404 where there is no blob."""
    await bucket.put("a/b", BODY)
    get, none = await bucket.presign_get("a/b"), await bucket.presign_get("a/c")
    assert get is not None
    assert none is not None

    assert send("GET", get.url, None, get.headers) == (200, BODY)
    assert send("GET", get.url, None, {"Range": "bytes=0-6"}) == (206, b"exactly")
    assert send("GET", none.url, None, {}).status == 404


async def test_clients_may_see_another_address(bucket_site: Bucket) -> None:
    """With a public endpoint, URLs name and sign that one, while we go on with ours."""
    public = bucket_site.access.endpoint.replace("127.0.0.1", "localhost")
    blobs = S3Blobs(dataclasses.replace(bucket_site.access, public_endpoint=public))
    put = await presigned(blobs)

    assert put.url.startswith(public + "/")
    assert send("PUT", put.url, BODY, put.headers).status == 200
    assert await blobs.get("a/b") == BODY
    await blobs.close()


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "0" * 63 + "\n", "A" * 64])
async def test_a_digest_is_hex(bucket: S3Blobs, digest: str) -> None:
    """Another digest is refused before anything is signed."""
    with pytest.raises(RequestRefused):
        await bucket.presign_put("a", 1, digest)


@pytest.mark.parametrize("size", [-1, 5 * 1024**3 + 1])
async def test_a_size_is_one_s3_takes(bucket: S3Blobs, size: int) -> None:
    """S3 takes up to 5 GiB in one request."""
    with pytest.raises(TooLarge):
        await bucket.presign_put("a", size, DIGEST)
