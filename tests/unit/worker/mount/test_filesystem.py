"""The file system: paths are keys, and folders are what keys have in common."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.mount.filesystem import BucketFileSystem

from tests.unit.worker.mount.memory_bucket import MemoryBucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bucket() -> MemoryBucket:
    """An empty bucket."""
    return MemoryBucket()


@pytest.fixture
def files(bucket: MemoryBucket, tmp_path: Path) -> Iterator[BucketFileSystem]:
    """The file system of the bucket; files that are left open are closed."""
    client: Any = bucket
    system = BucketFileSystem(client, str(tmp_path), (1, 2))
    yield system
    for number in range(10):
        system.release("/", number)


def refusal(call: Any, *arguments: Any) -> int | None:
    """The number of the error of an operation."""
    with pytest.raises(OSError) as raised:  # noqa: PT011
        call(*arguments)
    return raised.value.errno


def test_a_path_is_a_file_or_a_folder(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """A key that others continue is a folder; what nothing begins with does not exist."""
    bucket.objects |= {"a": b"xyz", "b": b"", "b/c": b""}

    assert files.getattr("/a")["st_size"] == 3
    assert stat.S_ISREG(files.getattr("/a")["st_mode"])
    assert stat.S_ISDIR(files.getattr("/b")["st_mode"])
    assert stat.S_ISDIR(files.getattr("/")["st_mode"])
    assert refusal(files.getattr, "/c") == errno.ENOENT


def test_a_listing_has_names_only(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """Each once, with files that are open; keys that are not paths are left out."""
    keys = ["d/", "d/a", "d/a/b", "d//x", "d/..", "e"]
    bucket.objects |= dict.fromkeys(keys, b"")
    files.create("/d/new", 0o644)

    assert sorted(files.readdir("/d", 0)) == [".", "..", "a", "new"]
    assert sorted(files.readdir("/", 0)) == [".", "..", "d", "e"]


def test_a_file_is_stored_when_it_is_closed(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """Not before; its size is seen meanwhile."""
    number = files.create("/a", 0o644)
    files.write("/a", b"bytes", 0, number)

    assert bucket.objects == {}
    assert files.getattr("/a")["st_size"] == 5
    files.flush("/a", number)
    files.release("/a", number)
    assert bucket.objects == {"a": b"bytes"}


def test_a_file_is_truncated_open_or_not(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """By a path it is stored at once."""
    bucket.objects |= {"a": b"bytes"}

    files.truncate("/a", 2)
    assert bucket.objects["a"] == b"by"
    number = files.open("/a", os.O_RDWR)
    files.truncate("/a", 1, number)
    files.flush("/a", number)
    assert bucket.objects["a"] == b"b"
    files.open("/a", os.O_WRONLY | os.O_TRUNC)
    assert bucket.objects["a"] == b"b"


def test_folders_are_made_and_removed(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """A folder with something in it stays."""
    files.mkdir("/d", 0o755)
    bucket.objects["d/a"] = b""

    assert stat.S_ISDIR(files.getattr("/d")["st_mode"])
    assert refusal(files.rmdir, "/d") == errno.ENOTEMPTY
    files.unlink("/d/a")
    files.rmdir("/d")
    assert bucket.objects == {}


def test_folders_that_nobody_made_are_removed_with_what_is_in_them(
    bucket: MemoryBucket, files: BucketFileSystem
) -> None:
    """`rm -r` finds each folder that it has emptied, until it removes it."""
    bucket.objects |= {"d/e/a": b"", "d/e/b": b""}

    for name in ("a", "b"):
        files.unlink(f"/d/e/{name}")
        assert stat.S_ISDIR(files.getattr("/d/e")["st_mode"])
    files.rmdir("/d/e")
    assert refusal(files.getattr, "/d/e") == errno.ENOENT
    assert stat.S_ISDIR(files.getattr("/d")["st_mode"])
    files.rmdir("/d")

    assert refusal(files.getattr, "/d") == errno.ENOENT
    assert bucket.objects == {}


def test_a_folder_is_renamed_with_all_in_it(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """Not into itself, and not over a folder with something in it."""
    bucket.objects |= {"d/": b"", "d/a": b"1", "d/e/b": b"2", "f/x": b""}

    assert refusal(files.rename, "/d", "/d/e/d") == errno.EINVAL
    assert refusal(files.rename, "/d", "/f") == errno.ENOTEMPTY
    files.rename("/d", "/g")

    assert bucket.objects == {"g/": b"", "g/a": b"1", "g/e/b": b"2", "f/x": b""}


def test_an_open_file_is_renamed(bucket: MemoryBucket, files: BucketFileSystem) -> None:
    """It is stored under the new name; a missing one is not found."""
    bucket.objects |= {"a": b"old"}
    number = files.open("/a", os.O_WRONLY | os.O_TRUNC)

    files.rename("/a", "/b")
    files.write("/b", b"new", 0, number)
    files.flush("/b", number)

    assert bucket.objects == {"b": b"new"}
    assert refusal(files.rename, "/missing", "/c") == errno.ENOENT
