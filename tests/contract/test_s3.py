"""What the adapter `s3` does beyond the contract: pages, parts, connections, outages."""

import asyncio
import dataclasses
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from picloud_driver.blob.s3 import S3Blobs
from picloud_driver.s3.client import S3Access, s3_client
from picloud_model.errors import BlobMissing, PiCloudError, RequestRefused, Unavailable

from tests.contract.blob_adapters import MIB, Bucket, collected, s3_access
from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.polling import eventually
from tests.servers import running

OUTAGE_S = 30.0
"""In this time everybody has to hear that the server is away."""


@pytest.fixture
async def bucket(bucket_site: Bucket) -> AsyncIterator[S3Blobs]:
    """A port on an empty bucket."""
    blobs = S3Blobs(bucket_site.access)
    yield blobs
    await blobs.close()


def raw(access: S3Access) -> Any:
    """A client to inspect a bucket."""
    return s3_client(access, access.endpoint, 1)


# --- keys, pages and parts ------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["blobs", "/", "a//", "../", "a b/", "a" * 64 + "/"])
def test_a_prefix_is_a_path_of_plain_names(prefix: str) -> None:
    """Another prefix is refused when the adapter is made."""
    with pytest.raises(RequestRefused):
        S3Blobs(S3Access("jobs"), prefix=prefix)


async def test_prefixes_do_not_see_each_other(bucket_site: Bucket) -> None:
    """Two prefixes of a bucket are two stores, and what others keep in one has no name."""
    one, two = (S3Blobs(bucket_site.access, prefix=prefix) for prefix in ("one/", "two/"))
    await one.put("a", b"one")
    client = raw(bucket_site.access)
    client.put_object(Bucket=bucket_site.access.bucket, Key="one/a file", Body=b"")
    client.put_object(Bucket=bucket_site.access.bucket, Key="one/z", Body=b"")

    assert await two.missing(["a"]) == ["a"]
    assert await collected(two.names("")) == []
    assert await collected(one.names("")) == ["a"]


async def test_more_than_a_page(bucket: S3Blobs) -> None:
    """Names are listed, and looked for, over the borders of pages of 1,000."""
    names = [f"a/{number:04d}" for number in range(0, 2080, 2)]
    await asyncio.gather(*(bucket.put(name, b"") for name in names))
    asked = [f"a/{number:04d}" for number in range(2080)]
    random.Random(7).shuffle(asked)

    assert await collected(bucket.names("")) == names
    assert await collected(bucket.names("a/1")) == [name for name in names if name >= "a/1"][:500]
    beyond = [f"b/{number}" for number in range(200)]
    # Many together, most of them pages away, few, and some of them twice.
    for some in (asked, asked[:5] + beyond, [*asked[:5], "b", "0"], asked[:3] * 2):
        assert await bucket.missing(some) == [name for name in some if name not in set(names)]


def listed(keys: Sequence[str], *, rest: bool) -> ScriptedAnswer:
    """A page of a listing as S3 writes it."""
    found = "".join(f"<Contents><Key>blobs/{key}!</Key><Size>1</Size></Contents>" for key in keys)
    more = "<NextContinuationToken>more</NextContinuationToken>" if rest else ""
    truncated = f"<IsTruncated>{str(rest).lower()}</IsTruncated>"
    return ScriptedAnswer(
        200, f"<ListBucketResult>{truncated}{more}{found}</ListBucketResult>".encode()
    )


@pytest.mark.parametrize(
    ("page", "requests"),
    [
        (listed([], rest=False), ["GET"]),
        (listed(["a/0199"], rest=True), ["GET"]),
        (listed(["a/0149"], rest=True), ["GET", *["HEAD"] * 50]),
        (listed(["a/0049"], rest=True), ["GET", *["HEAD"] * 150]),
        (listed([], rest=True), ["GET", *["HEAD"] * 200]),
    ],
)
async def test_a_listing_is_read_while_it_pays(page: ScriptedAnswer, requests: list[str]) -> None:
    """Many names cost few requests where they are close, and one each where they are not."""
    names = [f"a/{number:04d}" for number in range(200)]
    with ScriptedServer(page, ScriptedAnswer(200)) as server:
        blobs = S3Blobs(S3Access("jobs", server.url, access_key="a", secret_key="b"))

        await blobs.missing(names)
        await blobs.close()

    assert server.requests == requests


async def test_a_listing_that_pays_is_read_on() -> None:
    """Page after page, as long as each decides many of the names."""
    names = [f"a/{number:04d}" for number in range(300)]
    with ScriptedServer(listed(["a/0149"], rest=True), listed(["a/0299"], rest=False)) as server:
        blobs = S3Blobs(S3Access("jobs", server.url, access_key="a", secret_key="b"))

        absent = await blobs.missing(names)
        await blobs.close()

    assert server.requests == ["GET", "GET"]
    assert set(names) - set(absent) == {"a/0149", "a/0299"}


async def test_a_folder_that_holds_little_is_listed_for_several_names() -> None:
    """The first call of an account names forty modules, and nothing is stored yet."""
    names = [f"a/{number:04d}" for number in range(40)]
    with ScriptedServer(listed(["a/0007"], rest=False), ScriptedAnswer(200)) as server:
        blobs = S3Blobs(S3Access("jobs", server.url, access_key="a", secret_key="b"))

        absent = await blobs.missing(names)
        await blobs.missing(names[:3])
        await blobs.close()

    assert server.requests == ["GET", *["HEAD"] * 3]
    assert set(names) - set(absent) == {"a/0007"}


async def test_a_folder_that_holds_much_is_not_listed_again() -> None:
    """Some servers read a whole folder to list a few of its keys."""
    names = [f"a/{number:04d}" for number in range(40)]
    with ScriptedServer(listed(["a/0009"], rest=True), ScriptedAnswer(200)) as server:
        blobs = S3Blobs(S3Access("jobs", server.url, access_key="a", secret_key="b"))

        await blobs.missing(names)
        await blobs.missing(names)
        await blobs.close()

    assert server.requests == ["GET", *["HEAD"] * 30, *["HEAD"] * 40]


async def test_a_prefix_of_a_key_is_none_of_a_name(bucket: S3Blobs) -> None:
    """What ends a key is in no name."""
    await bucket.put("a", b"bytes")

    assert await collected(bucket.names("a!")) == []


async def test_large_blobs_go_in_parts(bucket_site: Bucket, bucket: S3Blobs) -> None:
    """Above 64 MiB a blob is written in parts, under the same promises, and nothing is left."""
    body = os.urandom(MIB) * 65
    client = raw(bucket_site.access)

    assert await bucket.put("large", body) is True
    assert await bucket.put("large", b"x" * len(body)) is False

    assert await bucket.get("large") == body
    head = client.head_object(Bucket=bucket_site.access.bucket, Key="blobs/large!")
    assert head["ETag"].strip('"').endswith("-5")
    left = client.list_multipart_uploads(Bucket=bucket_site.access.bucket)
    assert left.get("Uploads", []) == []


async def test_damage_on_its_disk_is_noticed(bucket_site: Bucket, bucket: S3Blobs) -> None:
    """A blob whose stored bytes were changed is not returned."""
    await bucket.put("a", b"bytes")
    (bucket_site.root / "blobs" / "a!").write_bytes(b"bytez")

    with pytest.raises(Unavailable, match="the bytes were changed"):
        await bucket.get("a")


# --- connections ----------------------------------------------------------------------------------


async def test_a_connection_is_kept(bucket_site: Bucket) -> None:
    """Requests one after the other go over one connection; `close` closes it."""
    blobs = S3Blobs(bucket_site.access)
    port = int(bucket_site.access.endpoint.rpartition(":")[2])
    seen = set()

    def ours() -> set[int]:
        connections = psutil.Process().net_connections("tcp4")
        return {
            each.laddr.port
            for each in connections
            if each.raddr and each.raddr.port == port and each.status == "ESTABLISHED"
        }

    others = ours()
    for number in range(10):
        await blobs.put(f"a/{number}", b"bytes")
        await blobs.get(f"a/{number}")
        await blobs.missing([f"b/{number}"])
        seen |= ours() - others
    await blobs.close()

    assert len(seen) == 1
    await eventually(lambda: not seen & ours(), "the connection was closed")


async def test_the_environment_decides_nothing(
    bucket_site: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No certificate file, proxy, profile, address or key is taken from the environment."""
    for name, value in {
        "AWS_CA_BUNDLE": "/nowhere/ca.pem",
        "REQUESTS_CA_BUNDLE": "/nowhere/ca.pem",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "another",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_DEFAULT_REGION": "mars-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "nonsense",
    }.items():
        monkeypatch.setenv(name, value)
    blobs, amazon = (
        S3Blobs(bucket_site.access),
        S3Blobs(S3Access("jobs", access_key="us", secret_key="hidden")),
    )

    await blobs.put("a", b"bytes")

    assert await blobs.get("a") == b"bytes"
    url = await amazon.presign_get("a")
    assert url is not None
    assert urlsplit(url.url).hostname in {"s3.amazonaws.com", "s3.us-east-1.amazonaws.com"}
    for port in (blobs, amazon):
        await port.close()


async def test_the_secret_key_shows_nowhere(
    bucket_site: Bucket, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is in no `repr`, message or output."""
    secret = bucket_site.access.secret_key
    blobs = S3Blobs(dataclasses.replace(bucket_site.access, access_key="unknown"))

    with pytest.raises(PiCloudError) as refused:
        await blobs.ping()

    shown = [repr(blobs), repr(bucket_site.access), str(refused.value), *capfd.readouterr()]
    assert [text for text in shown if secret in text] == []


# --- outages --------------------------------------------------------------------------------------


@pytest.fixture
async def own() -> AsyncIterator[tuple[running.S3, S3Blobs]]:
    """A server that a test may kill, and a port on a bucket there."""
    with running.versitygw() as s3:
        blobs = S3Blobs(s3_access(s3, "picloud-outage"))
        await blobs.ensure_bucket()
        yield s3, blobs
        await blobs.close()


async def test_an_outage_ends_by_itself(own: tuple[running.S3, S3Blobs]) -> None:
    """While S3 is away every call is `Unavailable` soon; after it the same port works."""
    s3, blobs = own
    await blobs.put("a", b"bytes")
    await asyncio.gather(*(blobs.get("a") for _ in range(8)))

    s3.process.kill()
    for call in (
        lambda: blobs.put("b", b"x"),
        lambda: blobs.get("a"),
        lambda: blobs.missing(["a"]),
        lambda: blobs.delete("a"),
        lambda: collected(blobs.names("")),
        blobs.ping,
    ):
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="is it running"):
            await call()
        assert time.monotonic() - begun < OUTAGE_S
    s3.process.start()

    assert await blobs.get("a") == b"bytes"
    assert await blobs.put("b", b"x") is True
    assert await blobs.missing(["a", "b", "c"]) == ["c"]


async def test_a_server_killed_while_it_writes(own: tuple[running.S3, S3Blobs]) -> None:
    """Of a blob that S3 was writing when it was killed there is nothing; it can be put again."""
    s3, blobs = own
    process = s3.process.process
    assert process is not None
    bucket = Bucket(
        S3Access("picloud-outage"), s3.directory / "data" / "picloud-outage", process.pid
    )
    body = os.urandom(32 * MIB)
    writing = asyncio.create_task(blobs.put("slow", body))

    await eventually(bucket.is_written_to, "the write began")
    s3.process.kill()
    with pytest.raises(Unavailable):
        await writing
    s3.process.start()

    with pytest.raises(BlobMissing):
        await blobs.get("slow")
    assert await collected(blobs.names("")) == []
    assert await blobs.put("slow", body) is True
    assert await blobs.get("slow") == body
