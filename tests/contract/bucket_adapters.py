"""Where bucket tests keep objects: a new adapter joins by a class like `DirectorySite`."""

from __future__ import annotations

import dataclasses
import functools
import uuid
from typing import TYPE_CHECKING, Protocol

import pytest
from moto.server import ThreadedMotoServer
from picloud_driver.bucket.directory import DirectoryBuckets
from picloud_driver.bucket.s3 import S3Buckets
from picloud_driver.s3.client import S3Access, s3_client
from picloud_driver.s3.gateway import S3Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from picloud_driver.bucket import BucketPort, ObjectInfo, OpenObject

    from tests.contract.blob_adapters import Bucket

ACCOUNT = "a0000001"


class BucketSite(Protocol):
    """The place of the objects of one test."""

    def open(self) -> BucketPort:
        """A port as a process makes it that has just begun."""

    def make_unavailable(self) -> None:
        """Make the store unable to answer."""


@dataclasses.dataclass
class BucketDirectory:
    """The adapter `directory`."""

    root: Path

    def open(self) -> BucketPort:
        """A port on the directory."""
        return DirectoryBuckets(self.root)

    def make_unavailable(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@pytest.fixture
def bucket_directory_site(tmp_path: Path) -> BucketSite:
    """A directory that is not there yet."""
    return BucketDirectory(tmp_path / "buckets")


@dataclasses.dataclass(frozen=True)
class S3Bucket:
    """The adapter `s3` in a bucket of its own."""

    access: S3Access
    remove: Callable[[], object]

    def open(self) -> BucketPort:
        """A port with connections of its own."""
        return S3Buckets(self.access)

    def make_unavailable(self) -> None:
        """Remove the bucket, as its owner may."""
        self.remove()


@pytest.fixture
def versitygw_site(bucket_site: Bucket) -> BucketSite:
    """An empty bucket of a server that keeps objects as files."""
    return S3Bucket(bucket_site.access, bucket_site.make_unavailable)


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of a server that answers as AWS does."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_site(moto_server: str) -> BucketSite:
    """An empty bucket of a server that keeps keys as they are."""
    access = S3Access(
        bucket=f"test-{uuid.uuid4().hex}", endpoint=moto_server, access_key="a", secret_key="b"
    )
    gateway = S3Gateway(access, connections=1)
    gateway.ensure_bucket()
    gateway.close()
    return S3Bucket(access, functools.partial(_remove, access))


def _remove(access: S3Access) -> None:
    client = s3_client(access, access.endpoint, 1)
    for each in client.list_objects_v2(Bucket=access.bucket)["Contents"]:
        client.delete_object(Bucket=access.bucket, Key=each["Key"])
    client.delete_bucket(Bucket=access.bucket)
    client.close()


@pytest.fixture(params=["bucket_directory", "versitygw", "moto"])
def object_site(request: pytest.FixtureRequest) -> BucketSite:
    """An empty store of each kind."""
    site: BucketSite = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture(params=["bucket_directory", "versitygw"])
def durable_site(request: pytest.FixtureRequest) -> BucketSite:
    """An empty store of each kind that is used; moto keeps keys as AWS does, and little else."""
    site: BucketSite = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def buckets(object_site: BucketSite) -> AsyncIterator[BucketPort]:
    """A port on an empty store of each kind."""
    opened = object_site.open()
    yield opened
    await opened.close()


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    """Chunks as a request brings them."""
    for chunk in chunks:
        yield chunk


async def put(buckets: BucketPort, key: str, data: bytes = b"") -> ObjectInfo:
    """Put an object of the account."""
    return await buckets.put(ACCOUNT, key, stream(data))


async def read(opened: OpenObject) -> bytes:
    """All bytes of an open object."""
    return b"".join([chunk async for chunk in opened.chunks])


async def get(buckets: BucketPort, key: str) -> bytes:
    """The bytes of an object of the account."""
    return await read(await buckets.get(ACCOUNT, key))


async def all_keys(buckets: BucketPort, prefix: str = "", limit: int = 1000) -> list[str]:
    """The keys of an account's objects, page by page."""
    keys: list[str] = []
    while True:
        page = await buckets.page(ACCOUNT, prefix, keys[-1] if keys else "", limit=limit)
        keys += [each.key for each in page.objects]
        if not page.truncated:
            return keys
