"""What every store of buckets promises of bytes: whole versions, ranges, conditions."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picloud_driver.bucket import ObjectProperties, WriteCondition
from picloud_model.errors import ObjectChanged, ObjectNotFound, RequestRefused

from tests.contract.blob_adapters import MIB, run
from tests.contract.bucket_adapters import ACCOUNT, all_keys, get, put, read, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_driver.bucket import BucketPort

    from tests.contract.bucket_adapters import BucketSite


@pytest.fixture
def object_site(durable_site: BucketSite) -> BucketSite:
    """The stores that promise this."""
    return durable_site


def md5(data: bytes) -> str:
    """MD5 in hex."""
    return hashlib.md5(data).hexdigest()


# --- put ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, MIB, 3 * MIB + 1])
async def test_bytes_come_back_as_they_were_put(buckets: BucketPort, size: int) -> None:
    """An object of any size, from chunks of any size, has its bytes, its size and its MD5."""
    data = os.urandom(size)
    chunks = [data[:10], b"", data[10 : MIB + 7], data[MIB + 7 :]]

    written = await buckets.put(ACCOUNT, "a/b", stream(*chunks))

    assert await get(buckets, "a/b") == data
    info = await buckets.head(ACCOUNT, "a/b")
    assert abs(info.modified - written.modified) < 60
    assert msgspec.structs.replace(info, modified=written.modified) == written
    assert (written.key, written.size) == ("a/b", size)
    assert written.properties.md5 == written.etag == md5(data)


async def test_a_large_object_is_streamed(buckets: BucketPort) -> None:
    """An object of many chunks is stored whole; its MD5 is known if its writer states it."""
    block = os.urandom(MIB)
    data = block * 40

    written = await buckets.put(
        ACCOUNT, "large", stream(*[block] * 40), properties=ObjectProperties(md5=md5(data))
    )

    assert written.properties.md5 == md5(data)
    assert await get(buckets, "large") == data
    assert (await buckets.head(ACCOUNT, "large")).properties.md5 == md5(data)


async def test_the_latest_put_stays(buckets: BucketPort) -> None:
    """A put replaces bytes, headers and time."""
    first = await buckets.put(
        ACCOUNT, "a", stream(b"first"), properties=ObjectProperties({"content-type": "text/x"})
    )
    await put(buckets, "a", b"second, longer")

    info = await buckets.head(ACCOUNT, "a")
    assert await get(buckets, "a") == b"second, longer"
    assert info.etag != first.etag
    assert "text/x" not in info.properties.headers.values()


async def test_other_bytes_than_stated_are_refused(buckets: BucketPort) -> None:
    """The earlier version stays."""
    await put(buckets, "a", b"first")

    with pytest.raises(RequestRefused, match="MD5"):
        await buckets.put(
            ACCOUNT, "a", stream(b"damaged"), properties=ObjectProperties(md5=md5(b"whole"))
        )

    assert await get(buckets, "a") == b"first"


async def test_a_writer_that_breaks_off_leaves_the_earlier_version(buckets: BucketPort) -> None:
    """A stream that fails in its middle is not an object."""
    await put(buckets, "a", b"first")

    async def breaking() -> AsyncIterator[bytes]:
        yield bytes(2 * MIB)
        raise ConnectionResetError

    for key in ("a", "new"):
        with pytest.raises(ConnectionResetError):
            await buckets.put(ACCOUNT, key, breaking())

    assert await get(buckets, "a") == b"first"
    assert await all_keys(buckets) == ["a"]


HEADERS = {
    "cache-control": "max-age=60",
    "content-disposition": 'attachment; filename="x y.txt"',
    "content-encoding": "gzip",
    "content-language": "de",
    "content-type": "text/plain; charset=utf-8",
}


async def test_an_object_has_headers_and_may_be_public(buckets: BucketPort) -> None:
    """They are stored with the bytes, and returned as they were put."""
    properties = ObjectProperties(HEADERS, public=True, md5=md5(b"bytes"))

    written = await buckets.put(ACCOUNT, "a", stream(b"bytes"), properties=properties)

    assert written.properties == properties
    assert (await buckets.head(ACCOUNT, "a")).properties == properties
    opened = await buckets.get(ACCOUNT, "a")
    assert opened.info.properties == properties
    await opened.chunks.aclose()


async def test_an_object_without_headers_has_none(buckets: BucketPort) -> None:
    """Nothing is made up, not even a type."""
    await put(buckets, "a", b"bytes")

    assert (await buckets.head(ACCOUNT, "a")).properties == ObjectProperties(md5=md5(b"bytes"))


@pytest.mark.parametrize(
    "properties",
    [
        ObjectProperties({"x-other": "1"}),
        ObjectProperties({"Content-Type": "text/plain"}),
        ObjectProperties({"content-type": "a\r\nx-evil: 1"}),
        ObjectProperties({"content-type": "é"}),
        ObjectProperties({"content-type": ""}),
        ObjectProperties({"content-type": "x" * 1025}),
        ObjectProperties(md5="x"),
    ],
)
async def test_other_properties_are_refused(
    buckets: BucketPort, properties: ObjectProperties
) -> None:
    """Only headers that a browser needs, in printable ASCII; and an MD5 has 32 hex digits."""
    await put(buckets, "a")

    with pytest.raises(RequestRefused):
        await buckets.put(ACCOUNT, "b", stream(b""), properties=properties)
    with pytest.raises(RequestRefused):
        await buckets.start_upload(ACCOUNT, "b", properties)
    with pytest.raises(RequestRefused):
        await buckets.copy(ACCOUNT, "a", "b", properties)


def _put_and_die(site: BucketSite, body: bytes) -> None:
    async def write() -> None:
        opened = site.open()
        await put(opened, "kept/small", b"small")
        await put(opened, "kept/large", body)

    asyncio.run(write())
    os.kill(os.getpid(), signal.SIGKILL)


async def test_a_completed_put_outlives_its_process(
    object_site: BucketSite, buckets: BucketPort
) -> None:
    """An object that was put exists even if its writer was killed right afterwards."""
    body = os.urandom(2 * MIB)

    assert run(_put_and_die, object_site, body) == -signal.SIGKILL

    assert await get(buckets, "kept/small") == b"small"
    assert await get(buckets, "kept/large") == body


# --- conditions -----------------------------------------------------------------------------------


async def test_a_condition_protects_an_object(buckets: BucketPort) -> None:
    """`absent` writes only what is not there, `etag` only over that version."""
    first = await buckets.put(ACCOUNT, "a", stream(b"first"), condition=WriteCondition(absent=True))
    second = await buckets.put(
        ACCOUNT, "a", stream(b"second"), condition=WriteCondition(etag=first.etag)
    )

    for condition in (WriteCondition(absent=True), WriteCondition(etag=first.etag)):
        with pytest.raises(ObjectChanged):
            await buckets.put(ACCOUNT, "a", stream(b"third"), condition=condition)
    with pytest.raises(ObjectChanged):
        await buckets.put(
            ACCOUNT, "missing", stream(b""), condition=WriteCondition(etag=second.etag)
        )
    assert await get(buckets, "a") == b"second"


async def test_of_many_writers_one_wins(object_site: BucketSite) -> None:
    """Of concurrent puts of a new key, through several ports, exactly one is stored."""
    ports = [object_site.open() for _ in range(4)]

    async def write(at: int, key: str) -> bool:
        try:
            await ports[at].put(
                ACCOUNT, key, stream(b"%d" % at), condition=WriteCondition(absent=True)
            )
        except ObjectChanged:
            return False
        return True

    for round_ in range(10):
        won = await asyncio.gather(*(write(at, f"raced/{round_}") for at in range(4)))

        assert won.count(True) == 1
        assert await get(ports[0], f"raced/{round_}") == b"%d" % won.index(True)
    for port in ports:
        await port.close()


# --- get ------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 40), end=st.none() | st.integers(0, 40))
async def test_a_range_is_a_slice(buckets: BucketPort, start: int, end: int | None) -> None:
    """`start .. end-1`, to the last by default; of a range past the end there is what there is."""
    data = bytes(range(30))
    await put(buckets, "ranged", data)

    opened = await buckets.get(ACCOUNT, "ranged", start, end)

    assert opened.info.size == 30
    assert await read(opened) == data[start:end]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1)])
async def test_a_negative_range_is_refused(
    buckets: BucketPort, start: int, end: int | None
) -> None:
    """A range cannot begin before the first byte."""
    await put(buckets, "a", b"bytes")

    with pytest.raises(RequestRefused):
        await buckets.get(ACCOUNT, "a", start, end)


async def test_an_empty_object_has_no_bytes(buckets: BucketPort) -> None:
    """Also from a later start."""
    await put(buckets, "empty")

    assert await get(buckets, "empty") == b""
    assert await read(await buckets.get(ACCOUNT, "empty", 5)) == b""


async def test_a_reader_has_one_version(buckets: BucketPort) -> None:
    """An object that is replaced while it is read stays whole for its reader."""
    old = bytes(8 * MIB)
    await put(buckets, "a", old)
    opened = await buckets.get(ACCOUNT, "a")
    first = await anext(aiter(opened.chunks))

    await put(buckets, "a", b"new")

    assert first + await read(opened) == old
    assert await get(buckets, "a") == b"new"


async def test_a_version_is_read_or_refused(buckets: BucketPort) -> None:
    """With an ETag, the bytes are of that version, or there are none."""
    old = await put(buckets, "a", b"old")
    assert await read(await buckets.get(ACCOUNT, "a", 1, etag=old.etag)) == b"ld"
    await put(buckets, "a", b"new")

    with pytest.raises(ObjectChanged):
        await buckets.get(ACCOUNT, "a", 1, etag=old.etag)


async def test_a_reader_may_stop(buckets: BucketPort) -> None:
    """Closing early is allowed, closing twice too; nothing follows."""
    await put(buckets, "a", bytes(3 * MIB))
    opened = await buckets.get(ACCOUNT, "a")

    await anext(opened.chunks)
    await opened.chunks.aclose()
    await opened.chunks.aclose()

    assert await read(opened) == b""


async def test_a_missing_object_is_said_to_be_missing(buckets: BucketPort) -> None:
    """It has no bytes and no properties, even if its key is a part of another's."""
    await put(buckets, "a/b/c", b"bytes")

    for key in ("b", "a", "a/", "a/b", "a/b/c/d", "a/b/c/"):
        with pytest.raises(ObjectNotFound, match=repr(key)):
            await buckets.get(ACCOUNT, key)
        with pytest.raises(ObjectNotFound, match=repr(key)):
            await buckets.head(ACCOUNT, key)
        with pytest.raises(ObjectNotFound, match=repr(key)):
            await buckets.copy(ACCOUNT, key, "copy")


# --- copy -----------------------------------------------------------------------------------------


async def test_a_copy_is_an_object_of_its_own(buckets: BucketPort) -> None:
    """It has the bytes and properties of its source, which may be removed."""
    properties = ObjectProperties(HEADERS, public=True, md5=md5(b"bytes"))
    await buckets.put(ACCOUNT, "a b/c%", stream(b"bytes"), properties=properties)

    copied = await buckets.copy(ACCOUNT, "a b/c%", "d//é")
    await buckets.delete(ACCOUNT, ["a b/c%"])

    assert await get(buckets, "d//é") == b"bytes"
    assert copied == await buckets.head(ACCOUNT, "d//é")
    assert copied.properties == properties


async def test_a_copy_onto_itself_changes_properties(buckets: BucketPort) -> None:
    """Headers and `public` are replaced; the bytes and what names them stay."""
    before = await buckets.put(
        ACCOUNT, "a", stream(b"bytes"), properties=ObjectProperties({"content-type": "text/x"})
    )

    after = await buckets.copy(ACCOUNT, "a", "a", ObjectProperties({}, public=True))

    assert after.properties == ObjectProperties({}, public=True, md5=md5(b"bytes"))
    assert after.etag == before.etag
    assert await get(buckets, "a") == b"bytes"
