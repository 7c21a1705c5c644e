"""Where bucket tests keep objects: a new adapter joins by a class like `DirectorySite`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

import pytest
from picloud_driver.buckets.directory import DirectoryBuckets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from picloud_driver.buckets import BucketPort, ObjectInfo, OpenObject

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


@pytest.fixture(params=["bucket_directory"])
def object_site(request: pytest.FixtureRequest) -> BucketSite:
    """An empty store of each kind."""
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
