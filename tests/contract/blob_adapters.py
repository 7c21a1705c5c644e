"""Where blob tests keep blobs: a new adapter joins by a class like `Directory`."""

import contextlib
import dataclasses
import multiprocessing
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from picloud_driver.blob import BlobPort
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_driver.blob.s3 import S3Blobs
from picloud_driver.s3.client import S3Access
from picloud_driver.s3.gateway import S3Gateway

from tests.polling import DEADLINE_S
from tests.servers import running

MIB = 1024 * 1024


def file_in(directory: str, name: str) -> Path:
    """Return the path of a file in a directory that a store has named."""
    return Path(directory, name)


class Site(Protocol):
    """The place of the blobs of one test; it can be sent to another process."""

    def open(self) -> BlobPort:
        """A port as a process makes it that has just begun."""

    def is_written_to(self) -> bool:
        """Whether some blob is half written now."""

    def make_unavailable(self) -> None:
        """Make the store unable to answer."""


class Directory:
    """The adapter `directory`."""

    def __init__(self, scratch: Path) -> None:
        self.root = scratch / "blobs"

    def open(self) -> BlobPort:
        """A port on the directory."""
        return DirectoryBlobs(self.root)

    def is_written_to(self) -> bool:
        """Whether there is a file that has not got its name yet."""
        new = self.root / "new"
        return new.is_dir() and bool(files(new))

    def make_unavailable(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@dataclasses.dataclass(frozen=True)
class Bucket:
    """The adapter `s3`, in a bucket of its own that versitygw keeps in a directory."""

    access: S3Access
    root: Path
    server: int

    def open(self) -> BlobPort:
        """A port with connections of its own."""
        return S3Blobs(self.access)

    def is_written_to(self) -> bool:
        """Whether the server has a file of the bucket open that has not got its name yet."""
        new = str(self.root / ".sgwtmp")
        return any(path.startswith(new) for path in open_files(self.server))

    def make_unavailable(self) -> None:
        """Remove the bucket, as its owner may."""
        self.root.rename(self.root.parent.with_name(f"removed-{self.root.name}"))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[running.S3]:
    """One S3 for all tests; each has a bucket of its own."""
    with running.versitygw() as s3:
        yield s3


@pytest.fixture
def directory_site(tmp_path: Path) -> Site:
    """A directory that is not there yet."""
    return Directory(tmp_path)


@pytest.fixture
def bucket_site(s3_server: running.S3) -> "Bucket":
    """An empty bucket."""
    bucket = f"test-{uuid.uuid4().hex}"
    access = s3_access(s3_server, bucket)
    gateway = S3Gateway(access, connections=1)
    gateway.ensure_bucket()
    gateway.close()
    process = s3_server.process.process
    assert process is not None
    return Bucket(access, s3_server.directory / "data" / bucket, process.pid)


@pytest.fixture(params=["directory", "bucket"])
def blob_site(request: pytest.FixtureRequest) -> Site:
    """An empty store of each kind."""
    site: Site = request.getfixturevalue(f"{request.param}_site")
    return site


@pytest.fixture
async def blobs(blob_site: Site) -> AsyncIterator[BlobPort]:
    """A port on an empty store of each kind."""
    opened = blob_site.open()
    yield opened
    await opened.close()


async def collected(names: AsyncIterator[str]) -> list[str]:
    """All names, in their order."""
    return [name async for name in names]


def s3_access(server: running.S3, bucket: str) -> S3Access:
    """How to get at a bucket."""
    return S3Access(
        bucket=bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key=server.access_key,
        secret_key=server.secret_key,
    )


def open_files(process: int) -> list[str]:
    """Paths of the files that a process has open now."""
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


def files(root: Path) -> list[Path]:
    """Every file below a directory."""
    return [path for path in root.rglob("*") if path.is_file()]


def run(target: Callable[..., None], *arguments: Any) -> int | None:
    """The exit status of a process that does something to a site."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join(DEADLINE_S)
    return process.exitcode
