"""Where blob tests keep blobs: a new adapter joins by a class like `Directory`."""

import multiprocessing
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from picloud_driver.blobs import BlobPort
from picloud_driver.blobs.directory import DirectoryBlobs

from tests.contract.deadline import DEADLINE_S

MIB = 1024 * 1024


class Site(Protocol):
    """Where the blobs of one test lie; it can be sent to another process."""

    def open(self) -> BlobPort:
        """A port as a process makes it that has just begun."""

    def is_written_to(self) -> bool:
        """Whether some blob is half written now."""

    def break_off(self) -> None:
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

    def break_off(self) -> None:
        """Take the directory away, as when a disk is unmounted."""
        self.root.rename(self.root.with_name("unmounted"))


@pytest.fixture(params=[Directory])
def blob_site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An empty store of each kind."""
    made: Site = request.param(tmp_path)
    return made


@pytest.fixture
async def blobs(blob_site: Site) -> AsyncIterator[BlobPort]:
    """A port on an empty store of each kind."""
    opened = blob_site.open()
    yield opened
    await opened.close()


async def collected(names: AsyncIterator[str]) -> list[str]:
    """All names, in their order."""
    return [name async for name in names]


def files(root: Path) -> list[Path]:
    """Every file below a directory."""
    return [path for path in root.rglob("*") if path.is_file()]


def run(target: Callable[..., None], *arguments: Any) -> int | None:
    """The exit status of a process that does something to a site."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join(DEADLINE_S)
    return process.exitcode
