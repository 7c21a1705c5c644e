"""The bucket as a file system of fsspec: the tests that fsspec has for such, and pandas.

fsspec's own tests run on the embedded stack only: they are about paths, which are the same on all.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import fsspec
import pytest
from cloud import bucket
from fsspec.tests.abstract import (
    AbstractCopyTests,
    AbstractFixtures,
    AbstractGetTests,
    AbstractOpenTests,
    AbstractPipeTests,
    AbstractPutTests,
)

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client


embedded = pytest.mark.parametrize("stack", ["embedded"], indirect=True)


@pytest.fixture
def folder(client: Client) -> Iterator[str]:
    """A folder of this test's objects."""
    with current_client(client):
        name = uuid4().hex
        yield name
        bucket.remove_prefix(name)


class BucketFixtures(AbstractFixtures):
    """What fsspec's own tests are to be run on."""

    @pytest.fixture
    def fs(self) -> fsspec.AbstractFileSystem:
        """The file system, as fsspec finds it."""
        return fsspec.filesystem("picloud")

    @pytest.fixture
    def fs_path(self, folder: str) -> str:
        """Where the tests may write."""
        return folder

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        """How paths are joined."""
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        """A folder exists once an object is in it."""
        return False


@embedded
class TestCopy(AbstractCopyTests, BucketFixtures):
    """fsspec's own tests of `copy`."""


@embedded
class TestGet(AbstractGetTests, BucketFixtures):
    """fsspec's own tests of `get`."""


@embedded
class TestPut(AbstractPutTests, BucketFixtures):
    """fsspec's own tests of `put`."""


@embedded
class TestPipe(AbstractPipeTests, BucketFixtures):
    """fsspec's own tests of `pipe`."""


@embedded
class TestOpen(AbstractOpenTests, BucketFixtures):
    """fsspec's own tests of `open`."""


def test_pandas_reads_and_writes_tables(folder: str) -> None:
    """A Parquet and a CSV file, by their URLs only."""
    import pandas as pd  # takes a second, which each collection of tests would wait for

    table = pd.DataFrame({"name": ["a", "b"], "size": [1, 2]})
    table.to_parquet(f"picloud://{folder}/x.parquet")
    table.to_csv(f"picloud://{folder}/x.csv", index=False)

    assert pd.read_parquet(f"picloud://{folder}/x.parquet").equals(table)
    assert pd.read_csv(f"picloud://{folder}/x.csv").equals(table)
    assert bucket.getf("x.csv", folder).read() == b"name,size\na,1\nb,2\n"


def test_files_are_objects(folder: str) -> None:
    """Reading, appending, seeking, listing and removing; a file is stored when it is closed."""
    fs = fsspec.filesystem("picloud")
    with fs.open(f"{folder}/sub/a", "wb") as file:
        file.write(b"0123456789" * 300_000)
        assert not fs.exists(f"{folder}/sub/a")
    with fs.open(f"{folder}/sub/a", "ab") as file:
        file.write(b"end")

    with fs.open(f"{folder}/sub/a") as file:
        file.seek(-5, io.SEEK_END)
        assert (file.size, file.read()) == (3_000_003, b"89end")
    assert fs.cat_file(f"{folder}/sub/a", -3) == b"end"
    assert fs.find(folder) == fs.glob(f"{folder}/**/a") == [f"{folder}/sub/a"]
    assert [entry["type"] for entry in fs.ls(folder)] == ["directory"]
    fs.mv(f"{folder}/sub/a", f"{folder}/b")
    assert fs.ls(folder, detail=False) == [f"{folder}/b"]
    fs.rm(folder, recursive=True)
    assert not fs.exists(folder)


def test_what_is_missing_is_a_missing_file(folder: str) -> None:
    """Programs that use files expect this error; a file that fails is not stored."""
    fs = fsspec.filesystem("picloud")
    for missing in (fs.info, fs.ls, fs.cat_file, fs.open, fs.rm):
        with pytest.raises(FileNotFoundError):
            missing(f"{folder}/x")
    with pytest.raises(FileNotFoundError):
        fs.copy(f"{folder}/x", f"{folder}/y")
    with fs.transaction:
        file = fs.open(f"{folder}/later", "wb")
        file.write(b"x")
        file.close()
        assert not fs.exists(f"{folder}/later")
    assert fs.cat_file(f"{folder}/later") == b"x"


def test_keys_and_folders_of_one_name(folder: str) -> None:
    """Where `a` and `a/b` both exist, `a` is the file, and both are found."""
    fs = fsspec.filesystem("picloud")
    for key in ("a", "a/b", "empty/"):
        bucket.putf(key, f"{folder}/{key}")

    assert fs.isfile(f"{folder}/a")
    assert fs.find(folder) == [f"{folder}/a", f"{folder}/a/b"]
    assert (fs.isdir(f"{folder}/empty"), fs.ls(f"{folder}/empty")) == (True, [])
    fs.rmdir(f"{folder}/empty")
    assert not fs.exists(f"{folder}/empty")


def total(url: str) -> int:
    """Add the numbers of a file, in a job."""
    with fsspec.open(url, "rt") as file:
        return sum(int(line) for line in file)


def test_jobs_open_the_same_urls(client: Client, folder: str) -> None:
    """With the rights of their account."""
    bucket.putf("1\n2\n", "numbers", folder)

    assert cloud.result(cloud.call(total, f"picloud://{folder}/numbers")) == 3
