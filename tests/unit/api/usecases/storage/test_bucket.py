"""Objects: stored whole or in parts, separately for each account."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import ObjectNotFound, RequestRefused, UploadNotFound
from picloud_model.wire.bucket import (
    MAX_OBJECT_BYTES,
    PART_BYTES,
    WHOLE_OBJECT_BYTES,
    AbortUploadRequest,
    FinishUploadRequest,
    ListObjectsRequest,
    ListPartsRequest,
    PublishObjectRequest,
    PutObjectRequest,
    PutPartRequest,
    SentPart,
    WriteObjectQuery,
    WritePartQuery,
    etag_of_parts,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_api.usecases.storage.bucket import Buckets

    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"
LARGE = PutObjectRequest(key="a", size=2**30, md5="0" * 32)


@pytest.fixture
def buckets(api: ApiHarness) -> Buckets:
    """The use cases of buckets."""
    return api.use_cases.storage.buckets


def put_request(key: str, data: bytes, **headers: str) -> PutObjectRequest:
    """Return a request with an object in it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return PutObjectRequest(key=key, size=len(data), md5=md5(data), headers=named, data=data)


def md5(data: bytes) -> str:
    """Return the MD5 of bytes in hex."""
    return hashlib.md5(data).hexdigest()


async def chunks(*given: bytes) -> AsyncIterator[bytes]:
    """Yield bytes, as they arrive at the server."""
    for chunk in given:
        yield chunk


async def read(buckets: Buckets, key: str, account: str = ACCOUNT) -> bytes:
    """Return the bytes of an object."""
    opened = await buckets.read(account, key, 0, None, "")
    return b"".join([chunk async for chunk in opened.chunks])


async def test_a_small_object_is_stored_at_once(buckets: Buckets) -> None:
    """The answer describes it; a put replaces it with its headers."""
    await buckets.put(ACCOUNT, put_request("a", b"old", content_language="en"))

    answer = await buckets.put(ACCOUNT, put_request("a", b"new", content_type="text/plain"))

    assert answer.stored == await buckets.info(ACCOUNT, "a")
    assert (answer.stored.md5, answer.stored.size) == (md5(b"new"), 3)
    assert answer.stored.headers == {"content-type": "text/plain"}
    assert await read(buckets, "a") == b"new"


async def test_a_small_object_is_opened_with_its_bytes(buckets: Buckets) -> None:
    """One that is longer than was requested is not, nor any without a request."""
    for key, data in (("a", b"abc"), ("b", b"")):
        await buckets.put(ACCOUNT, put_request(key, data))

    assert (await buckets.open(ACCOUNT, "a", inline_bytes=3)).data == b"abc"
    assert (await buckets.open(ACCOUNT, "b", inline_bytes=3)).data == b""
    longer = await buckets.open(ACCOUNT, "a", inline_bytes=2)
    assert (longer.data, longer.object.size, longer.url) == (None, 3, "/v1/bucket/object?key=a")
    assert (await buckets.open(ACCOUNT, "a")).data is None
    with pytest.raises(ObjectNotFound, match="no object 'c'"):
        await buckets.open(ACCOUNT, "c", inline_bytes=3)


async def test_a_path_is_found_with_the_address_of_its_bytes(buckets: Buckets) -> None:
    """A folder has none."""
    for key in ("a", "b", "b/c"):
        await buckets.put(ACCOUNT, put_request(key, b"abc"))

    found = await buckets.path(ACCOUNT, "a")
    assert (found.folder, found.url) == (False, "/v1/bucket/object?key=a")
    assert found.object == await buckets.info(ACCOUNT, "a")
    assert [(await buckets.path(ACCOUNT, path)).url for path in ("b", "c")] == ["", ""]


async def test_other_objects_are_sent_to_a_target(buckets: Buckets) -> None:
    """Where nothing can be presigned the target is a path of the API, with the headers to send."""
    request = PutObjectRequest(
        key="a b", size=WHOLE_OBJECT_BYTES, md5=md5(b"x"), headers={"Content-Type": "text/css"}
    )

    answer = await buckets.put(ACCOUNT, request)

    assert answer.target.url == f"/v1/bucket/object?key=a+b&md5={md5(b'x')}"
    assert answer.target.headers == {"content-type": "text/css"}
    query = WriteObjectQuery(key="a b", md5=md5(b"xy"))
    written = await buckets.write(ACCOUNT, query, chunks(b"x", b"y"), answer.target.headers, size=2)
    assert (written.size, written.headers) == (2, {"content-type": "text/css"})


async def test_a_large_object_is_sent_in_parts(buckets: Buckets) -> None:
    """Its ETag is made of those of its parts; a repeated finish returns the same object."""
    parts = [b"a" * PART_BYTES, b"b"]
    request = PutObjectRequest(key="a", size=WHOLE_OBJECT_BYTES + 1, md5=md5(b"".join(parts)))
    answer = await buckets.put(ACCOUNT, request)
    assert answer.part_bytes == PART_BYTES
    for number, part in enumerate(parts, 1):
        named = {"key": "a", "upload": answer.upload, "number": number, "md5": md5(part)}
        target = await buckets.part_target(ACCOUNT, PutPartRequest(size=len(part), **named))
        assert target.url.startswith("/v1/bucket/part?key=a&upload=")
        await buckets.write_part(ACCOUNT, WritePartQuery(**named), chunks(part), size=len(part))
    finish = FinishUploadRequest(key="a", upload=answer.upload, parts=[md5(part) for part in parts])

    stored = await buckets.finish(ACCOUNT, finish)

    assert stored.etag == etag_of_parts([md5(part) for part in parts])
    assert stored.md5 == md5(b"".join(parts))
    assert await buckets.finish(ACCOUNT, finish) == stored
    await buckets.put(ACCOUNT, put_request("a", b"other"))
    with pytest.raises(UploadNotFound):
        await buckets.finish(ACCOUNT, finish)


async def test_the_parts_of_an_upload_are_listed(buckets: Buckets) -> None:
    """So that a client that was interrupted sends the others; their MD5s may come at the end."""
    request = PutObjectRequest(key="a", size=WHOLE_OBJECT_BYTES + 1, md5="")
    upload = (await buckets.put(ACCOUNT, request)).upload
    query = WritePartQuery(key="a", upload=upload, number=2)
    await buckets.write_part(ACCOUNT, query, chunks(b"xy"), size=2)

    listed = await buckets.parts(ACCOUNT, ListPartsRequest(key="a", upload=upload))

    assert listed.parts == [SentPart(2, md5(b"xy"), 2)]
    for account, key in ((OTHER, "a"), (ACCOUNT, "b")):
        with pytest.raises(UploadNotFound):
            await buckets.parts(account, ListPartsRequest(key=key, upload=upload))
    with pytest.raises(RequestRefused, match="MD5"):
        await buckets.put(ACCOUNT, PutObjectRequest(key="a", size=1, md5=""))


async def test_no_object_has_too_many_parts(buckets: Buckets) -> None:
    """Parts are as long as the largest object requires."""
    request = PutObjectRequest(key="a", size=MAX_OBJECT_BYTES, md5=md5(b""))

    answer = await buckets.put(ACCOUNT, request)

    assert MAX_OBJECT_BYTES / answer.part_bytes <= 10_000


async def test_an_upload_that_was_given_up_is_gone(buckets: Buckets) -> None:
    """Giving up twice is not an error; nothing is stored."""
    upload = (
        await buckets.put(ACCOUNT, PutObjectRequest(key="a", size=2**30, md5="0" * 32))
    ).upload
    for _ in range(2):
        await buckets.abort(ACCOUNT, AbortUploadRequest(key="a", upload=upload))

    query = WritePartQuery(key="a", upload=upload, number=1, md5=md5(b"x"))
    with pytest.raises(UploadNotFound):
        await buckets.write_part(ACCOUNT, query, chunks(b"x"), size=1)
    with pytest.raises(UploadNotFound):
        await buckets.finish(ACCOUNT, FinishUploadRequest(key="a", upload=upload, parts=["0" * 32]))
    with pytest.raises(ObjectNotFound, match="no object 'a'"):
        await buckets.info(ACCOUNT, "a")


async def test_bytes_with_another_md5_are_refused(buckets: Buckets) -> None:
    """What was stored before stays."""
    await buckets.put(ACCOUNT, put_request("a", b"old"))
    upload = (
        await buckets.put(ACCOUNT, PutObjectRequest(key="a", size=2**30, md5="0" * 32))
    ).upload
    wrong = PutObjectRequest(key="a", size=1, md5="0" * 32, data=b"x")
    part = WritePartQuery(key="a", upload=upload, number=1, md5="0" * 32)
    for attempt in (
        buckets.put(ACCOUNT, wrong),
        buckets.put(ACCOUNT, PutObjectRequest(key="a", size=2, md5=md5(b"x"), data=b"x")),
        buckets.write(ACCOUNT, WriteObjectQuery(key="a", md5="0" * 32), chunks(b"x"), {}, size=1),
        buckets.write_part(ACCOUNT, part, chunks(b"x"), size=1),
    ):
        with pytest.raises(RequestRefused):
            await attempt

    assert await read(buckets, "a") == b"old"


@pytest.mark.parametrize("key", ["a\0", "\u00fc" * 513])
async def test_what_is_not_a_key_is_refused(buckets: Buckets, key: str) -> None:
    """Keys have 1 to 1,024 bytes and no NUL."""
    with pytest.raises(RequestRefused, match="A key has"):
        await buckets.put(ACCOUNT, put_request(key, b""))
    with pytest.raises(RequestRefused, match="A key has"):
        await buckets.remove(ACCOUNT, [key])


async def test_only_headers_of_content_are_taken(buckets: Buckets) -> None:
    """Others could act for the server; names are stored in lower case."""
    for headers in (
        {"Set-Cookie": "a=b"},
        {"Content-Type": "a\r\nb: c"},
        {"cache-control": "\u00fc"},
    ):
        request = PutObjectRequest(key="a", size=0, md5=md5(b""), headers=headers, data=b"")
        with pytest.raises(RequestRefused):
            await buckets.put(ACCOUNT, request)


async def test_an_object_is_published_and_hidden(buckets: Buckets) -> None:
    """Headers are added, or replaced; a put hides the object again."""
    await buckets.put(ACCOUNT, put_request("a", b"x", content_type="text/plain"))
    with pytest.raises(ObjectNotFound):
        await buckets.head(ACCOUNT, "a", public=True)

    add = PublishObjectRequest(key="a", public=True, headers={"Cache-Control": "no-store"})
    both = await buckets.publish(ACCOUNT, add)
    assert both.headers == {"content-type": "text/plain", "cache-control": "no-store"}
    assert (await buckets.head(ACCOUNT, "a", public=True)).etag == md5(b"x")
    reset = PublishObjectRequest(key="a", public=False, reset_headers=True)
    hidden = await buckets.publish(ACCOUNT, reset)
    assert (hidden.public, hidden.headers, hidden.md5) == (False, {}, md5(b"x"))
    await buckets.publish(ACCOUNT, add)
    await buckets.put(ACCOUNT, put_request("a", b"x"))
    with pytest.raises(ObjectNotFound):
        await buckets.head(ACCOUNT, "a", public=True)


async def test_keys_are_listed_and_removed(buckets: Buckets) -> None:
    """A listing says whether more follow; removing a missing object is not an error."""
    for key in ("a", "b/1", "b/2"):
        await buckets.put(ACCOUNT, put_request(key, b"xy"))

    page = await buckets.list(ACCOUNT, ListObjectsRequest(folderize=True, max_keys=1))
    rest = await buckets.list(ACCOUNT, ListObjectsRequest(folderize=True, marker="a"))

    assert ([each.key for each in page.objects], page.folders, page.truncated) == (["a"], [], True)
    assert (page.objects[0].size, page.objects[0].etag) == (2, md5(b"xy"))
    assert (rest.objects, rest.folders, rest.truncated) == ([], ["b/"], False)
    await buckets.remove(ACCOUNT, ["a", "none", "b/1"])
    left = await buckets.list(ACCOUNT, ListObjectsRequest())
    assert [each.key for each in left.objects] == ["b/2"]


async def test_accounts_have_their_own_objects(buckets: Buckets) -> None:
    """The same key is another object in another account."""
    await buckets.put(ACCOUNT, put_request("a", b"mine"))
    await buckets.put(OTHER, put_request("a", b"theirs"))

    await buckets.remove(OTHER, ["a"])

    assert await read(buckets, "a") == b"mine"
    with pytest.raises(ObjectNotFound):
        await buckets.info(OTHER, "a")
    assert (await buckets.list(OTHER, ListObjectsRequest())).objects == []
