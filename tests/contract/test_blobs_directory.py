"""What the directory adapter promises beyond the port: modes, leftovers, faults of the disk."""

import asyncio
import errno
import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from picloud_driver import disk
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_model.errors import TooLarge, Unavailable

from tests.contract.blob_adapters import MIB, file_in, files
from tests.contract.full_disk import file_size_limit


def modes(root: Path) -> dict[str, set[int]]:
    """The modes of files and of directories at and below a directory."""
    found: dict[str, set[int]] = {"file": set(), "directory": set()}
    for path in (root, *root.rglob("*")):
        kind = "directory" if path.is_dir() else "file"
        found[kind].add(stat.S_IMODE(path.stat().st_mode))
    return found


@pytest.mark.parametrize("sync", [False, True])
async def test_files_are_the_servers_own(tmp_path: Path, *, sync: bool) -> None:
    """Files have mode 0600 and directories 0700, with `sync` and without."""
    blobs = DirectoryBlobs(tmp_path / "one" / "two", sync=sync)

    assert await blobs.put("a/b/c", b"bytes") is True
    assert await blobs.put("a/b/c", b"bytes") is False

    assert modes(tmp_path / "one") == {"file": {0o600}, "directory": {0o700}}
    assert await blobs.get("a/b/c") == b"bytes"


async def test_leftovers_go_after_a_day(tmp_path: Path) -> None:
    """What a crash left half written is removed at the next opening, once it is a day old."""
    DirectoryBlobs(tmp_path)
    old, young = tmp_path / "new" / "old", tmp_path / "new" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)

    DirectoryBlobs(tmp_path)

    assert (old.exists(), young.exists()) == (False, True)


async def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """When the disk takes only a part, put raises `Unavailable`, and no file is left."""
    blobs = DirectoryBlobs(tmp_path)

    with file_size_limit(64 * 1024), pytest.raises(Unavailable, match="raise the server's file"):
        await blobs.put("a/b", bytes(100 * 1024))

    assert files(tmp_path) == []
    assert await blobs.missing(["a/b"]) == ["a/b"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EACCES, "make its user the owner"),
        (errno.EIO, "is the disk mounted and healthy"),
    ],
)
def test_faults_say_what_to_do(number: int, advice: str) -> None:
    """Each fault of the system becomes a sentence that names the place and the way out."""
    told = disk.refusal(OSError(number, os.strerror(number)), "/data").message

    assert told.startswith("/data: ")
    assert advice in told


def test_what_no_freed_space_helps_is_refused_for_good(tmp_path: Path) -> None:
    """Else the worker would send a result again and again that never fits."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    total = shutil.disk_usage(tmp_path).total

    never = disk.refusal_of_bytes(full, tmp_path, total)
    later = disk.refusal_of_bytes(full, tmp_path, 1000)

    assert isinstance(never, TooLarge)
    assert "MB do not fit on the disk of the server's data, which has" in never.message
    assert isinstance(later, Unavailable)
    assert "free some space" in later.message


async def test_a_root_that_is_no_directory_is_unavailable(tmp_path: Path) -> None:
    """An adapter that cannot work says so when it is made."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(Unavailable):
        DirectoryBlobs(tmp_path / "file")


async def test_large_blobs_do_not_stop_the_loop(tmp_path: Path) -> None:
    """While a large blob is written and read, other work goes on."""
    blobs = DirectoryBlobs(tmp_path)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await blobs.put("large", bytes(64 * MIB))
    written, turns = turns, 0
    await blobs.get("large")
    counting.cancel()

    assert written > 10
    assert turns > 10


async def test_links_are_not_adopted(tmp_path: Path) -> None:
    """A link in that directory may lead to another file of the user of the server."""
    blobs = DirectoryBlobs(tmp_path / "root")
    shared = await blobs.files("a")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    assert shared is not None
    file_in(shared.incoming, "x").symlink_to(secret)
    os.mkfifo(file_in(shared.incoming, "y"))

    assert not await blobs.adopt("a/x", 6)
    assert not await blobs.adopt("a/y", 0)

    assert secret.read_bytes() == b"secret"


@pytest.mark.parametrize("sync", [False, True])
async def test_an_adopted_file_is_the_blob_itself(tmp_path: Path, *, sync: bool) -> None:
    """Nothing is copied: the blob is the file that was left, with `sync` and without."""
    blobs = DirectoryBlobs(tmp_path, sync=sync)
    shared = await blobs.files("a")
    assert shared is not None
    left = file_in(shared.incoming, "x")
    left.write_bytes(b"bytes")
    inode = left.stat().st_ino

    assert await blobs.adopt("a/x", 5)

    assert file_in(shared.blobs, "x").stat().st_ino == inode
    assert not left.exists()


async def test_what_is_not_adopted_goes_after_a_day(tmp_path: Path) -> None:
    """A client that ends before it names its file leaves it; the next that asks has it removed."""
    blobs = DirectoryBlobs(tmp_path)
    shared = await blobs.files("a")
    assert shared is not None
    old, young = file_in(shared.incoming, "old"), file_in(shared.incoming, "young")
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)

    await blobs.files("a")

    assert (old.exists(), young.exists()) == (False, True)
