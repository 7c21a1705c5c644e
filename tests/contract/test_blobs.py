"""What every blob store promises: the sentences of `BlobPort`, one test each.

A new adapter joins by a class like `Directory` in the list of sites.
"""

import asyncio
import errno
import itertools
import multiprocessing
import os
import signal
import stat
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from picloud_driver import disk
from picloud_driver.blobs import BlobPort
from picloud_driver.blobs.directory import DirectoryBlobs
from picloud_driver.blobs.name import checked_name
from picloud_model.errors import BlobMissing, RequestRefused, Unavailable

from tests.contract.deadline import DEADLINE_S, until
from tests.contract.full_disk import file_size_limit

MIB = 1024 * 1024

GOOD_NAMES = [
    "a",
    "a0000001/0f3b",
    "UPPER/lower/0-9_.x",
    ".hidden",
    "...",
    "a.b/..c/d..",
    "x" * 200,
    "/".join(["y" * 199] * 4),
]
BAD_NAMES = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "a/./b",
    "a/../b",
    "../a",
    "a/..",
    "a\\b",
    "a b",
    "a\n",
    "a\x00b",
    "a%2e%2e",
    "a+b",
    "é",
    "a:b",
    "~",
    "x" * 201,
    "/".join(["y" * 199] * 5),
]


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
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    """An empty store of each kind."""
    made: Site = request.param(tmp_path)
    return made


@pytest.fixture
async def blobs(site: Site) -> AsyncIterator[BlobPort]:
    """A port on an empty store of each kind."""
    opened = site.open()
    yield opened
    await opened.close()


async def collected(names: AsyncIterator[str]) -> list[str]:
    """All names, in their order."""
    return [name async for name in names]


def files(root: Path) -> list[Path]:
    """Every file below a directory."""
    return [path for path in root.rglob("*") if path.is_file()]


def modes(root: Path) -> dict[str, set[int]]:
    """The modes of files and of directories at and below a directory."""
    found: dict[str, set[int]] = {"file": set(), "directory": set()}
    for path in (root, *root.rglob("*")):
        kind = "directory" if path.is_dir() else "file"
        found[kind].add(stat.S_IMODE(path.stat().st_mode))
    return found


def every_call(blobs: BlobPort, name: str) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Each method that takes a name, ready to be called with this one."""
    return {
        "put": lambda: blobs.put(name, b"x"),
        "get": lambda: blobs.get(name),
        "missing": lambda: blobs.missing(["good", name]),
        "delete": lambda: blobs.delete(name),
        "presign_put": lambda: blobs.presign_put(name, 1, "0" * 64),
        "presign_get": lambda: blobs.presign_get(name),
    }


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD_NAMES)
async def test_good_names_hold_blobs(blobs: BlobPort, name: str) -> None:
    """Parts of letters, digits, `-`, `_` and `.`, up to 200 characters each and 800 in all."""
    await blobs.put(name, b"bytes")

    assert await blobs.get(name) == b"bytes"
    assert await collected(blobs.names("")) == [name]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_other_names_are_refused(blobs: BlobPort, name: str) -> None:
    """Every method that takes a name refuses another one with `RequestRefused`."""
    for call in every_call(blobs, name).values():
        with pytest.raises(RequestRefused):
            await call()


@given(name=st.text(alphabet="ab./\\-_+\n\x00é", max_size=12))
def test_a_name_that_passes_stays_below_its_root(name: str) -> None:
    """Whatever passes the check names a path below the root, itself unchanged."""
    try:
        checked = checked_name(name)
    except RequestRefused:
        return

    assert os.path.normpath("/root/" + checked) == "/root/" + name


async def test_a_name_may_begin_another(blobs: BlobPort) -> None:
    """`a` and `a/b` are two blobs."""
    await blobs.put("a/b/c", b"three")
    await blobs.put("a", b"one")
    await blobs.put("a/b", b"two")

    await blobs.delete("a")

    assert [await blobs.get(name) for name in ("a/b", "a/b/c")] == [b"two", b"three"]
    assert await blobs.missing(["a"]) == ["a"]


# --- put ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3 * MIB])
async def test_bytes_come_back_as_they_were_put(blobs: BlobPort, size: int) -> None:
    """A blob of any size, empty ones included, is read as it was written."""
    data = os.urandom(size)

    assert await blobs.put("a/blob", data) is True
    assert await blobs.get("a/blob") == data


async def test_a_taken_name_stays_as_it_was(blobs: BlobPort) -> None:
    """A second put answers False and changes nothing."""
    await blobs.put("a", b"first")

    assert await blobs.put("a", b"second") is False
    assert await blobs.get("a") == b"first"


async def test_of_many_writers_one_wins(site: Site) -> None:
    """Of puts of one name at once, through several ports, one answers True: that one's bytes."""
    ports = [site.open() for _ in range(6)]
    # Sizes on both sides of every border between ways to write.
    bodies = [bytes([at]) * (300 * 1024 if at % 2 else 100) for at in range(6)]

    def put(at: int, name: str) -> bool:
        return asyncio.run(ports[at].put(name, bodies[at]))

    for round_ in range(30):
        name = f"raced/{round_}"
        won = await asyncio.gather(*(asyncio.to_thread(put, at, name) for at in range(6)))
        assert won.count(True) == 1
        assert await ports[0].get(name) == bodies[won.index(True)]


def _put_and_die(site: Site, body: bytes) -> None:
    async def put() -> None:
        await site.open().put("kept/small", b"small")
        await site.open().put("kept/large", body)

    asyncio.run(put())
    os.kill(os.getpid(), signal.SIGKILL)


async def test_an_answered_put_outlives_its_process(site: Site) -> None:
    """Once answered, a blob is there although its writer was killed at once."""
    body = os.urandom(2 * MIB)

    assert _run(_put_and_die, site, body) == -signal.SIGKILL

    blobs = site.open()
    assert await blobs.get("kept/small") == b"small"
    assert await blobs.get("kept/large") == body


def _put_forever(site: Site, body_size: int) -> None:
    async def put() -> None:
        opened = site.open()
        for number in itertools.count():
            await opened.put(f"cut/{number}", bytes(body_size))

    asyncio.run(put())


async def test_a_crash_while_writing_leaves_nothing(site: Site) -> None:
    """Each name of a writer killed half-way holds the whole blob, or nothing and can be put."""
    size = 32 * MIB
    writer = multiprocessing.get_context("spawn").Process(target=_put_forever, args=(site, size))
    writer.start()
    await until(site.is_written_to, "a write began")
    writer.kill()
    await asyncio.to_thread(writer.join, DEADLINE_S)

    blobs = site.open()
    there = await collected(blobs.names("cut/"))

    assert writer.exitcode == -signal.SIGKILL
    for name in there:
        assert await blobs.get(name, size - 1) == b"\0"
    assert await blobs.put(f"cut/{len(there)}", b"again") is True


async def test_a_reader_never_sees_a_part(site: Site) -> None:
    """While a blob is written, a reader finds nothing, and then all of it."""
    size = 32 * MIB
    body = bytes(size)
    reader, writer = site.open(), site.open()
    writing = threading.Thread(target=lambda: asyncio.run(writer.put("slow", body)))
    seen = set()
    writing.start()

    while writing.is_alive():
        try:
            seen.add(len(await reader.get("slow")))
        except BlobMissing:
            seen.add(-1)
    writing.join()

    assert seen <= {-1, size}
    assert len(await reader.get("slow")) == size


# --- get ------------------------------------------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(start=st.integers(0, 40), end=st.none() | st.integers(0, 40))
def test_a_range_is_a_slice(site: Site, start: int, end: int | None) -> None:
    """`start .. end-1`, to the last by default; of a range past the end there is what there is."""
    data = bytes(range(30))

    async def read() -> bytes:
        blobs = site.open()
        await blobs.put("ranged", data)
        return await blobs.get("ranged", start, end)

    assert asyncio.run(read()) == data[start:end]


async def test_a_range_of_a_large_blob(blobs: BlobPort) -> None:
    """Ranges of more and of less than what is read at once are the same bytes."""
    data = os.urandom(4 * MIB)
    await blobs.put("large", data)

    assert await blobs.get("large", 1, 3 * MIB) == data[1 : 3 * MIB]
    assert await blobs.get("large", 3 * MIB, 3 * MIB + 5) == data[3 * MIB : 3 * MIB + 5]


@pytest.mark.parametrize(("start", "end"), [(-1, None), (0, -1)])
async def test_a_negative_range_is_refused(blobs: BlobPort, start: int, end: int | None) -> None:
    """Bytes before the first cannot be asked for."""
    await blobs.put("a", b"bytes")

    with pytest.raises(RequestRefused):
        await blobs.get("a", start, end)


async def test_a_missing_blob_is_said_to_be_missing(blobs: BlobPort) -> None:
    """`get` raises `BlobMissing` where nothing lies, be it part of another blob's name."""
    await blobs.put("a/b/c", b"bytes")

    for name in ("b", "a", "a/b", "a/b/c/d"):
        with pytest.raises(BlobMissing):
            await blobs.get(name)


# --- missing, delete, names -----------------------------------------------------------------------


async def test_missing_keeps_the_order(blobs: BlobPort) -> None:
    """Those names come back under which nothing lies, as they were given."""
    await blobs.put("a/2", b"")
    await blobs.put("a/4", b"")

    assert await blobs.missing(["a/5", "a/4", "a/1", "a/2", "a/3"]) == ["a/5", "a/1", "a/3"]
    assert await blobs.missing([]) == []


async def test_missing_takes_thousands(blobs: BlobPort) -> None:
    """Ten thousand names are one call."""
    names = [f"a/{number}" for number in range(10_000)]
    await blobs.put("a/77", b"")

    assert await blobs.missing(names) == [name for name in names if name != "a/77"]


async def test_a_deleted_name_is_free(blobs: BlobPort) -> None:
    """After `delete` the blob is missing, deleting it again is no error, and it can be put."""
    await blobs.put("a/b", b"old")

    await blobs.delete("a/b")
    await blobs.delete("a/b")

    assert await blobs.missing(["a/b"]) == ["a/b"]
    assert await blobs.put("a/b", b"new") is True
    assert await blobs.get("a/b") == b"new"


NAMES = ["a", "a-b", "a.b", "a/b", "a/b-c", "a/b/c", "a/c", "a0", "aa/b", "b/0", "b/00", "b/1"]


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "aa", "b/0", "c", "a/b/c/d"])
async def test_names_ascend(blobs: BlobPort, prefix: str) -> None:
    """Every name that begins with the prefix comes, ascending by its bytes, and no other."""
    for name in reversed(NAMES):
        await blobs.put(name, b"")

    assert await collected(blobs.names(prefix)) == [
        name for name in sorted(NAMES) if name.startswith(prefix)
    ]


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../", "..", "a+", "a/./b", "\x00"])
async def test_a_prefix_of_no_name_finds_nothing(blobs: BlobPort, prefix: str) -> None:
    """What no name begins with leads nowhere, least of all out of the store."""
    await blobs.put("a/b", b"")

    assert await collected(blobs.names(prefix)) == []


# --- the store itself -----------------------------------------------------------------------------


async def test_presigned_urls_are_none_or_urls(blobs: BlobPort) -> None:
    """Where clients go through the API, `presign_put` and `presign_get` answer None."""
    await blobs.put("a/b", b"bytes")

    for presigned in (await blobs.presign_put("a/c", 1, "0" * 64), await blobs.presign_get("a/b")):
        assert presigned is None or presigned.url.startswith("http")


async def test_ping_answers(blobs: BlobPort) -> None:
    """`ping` answers while blobs can be read."""
    await blobs.ping()


async def test_a_store_that_cannot_answer_is_unavailable(site: Site, blobs: BlobPort) -> None:
    """Every method raises `Unavailable`; nothing is said to be missing, nothing to be written."""
    await blobs.put("a", b"bytes")
    calls = every_call(blobs, "a")
    del calls["presign_put"], calls["presign_get"]

    site.break_off()

    async def list_names() -> None:
        await collected(blobs.names(""))

    for call in (*calls.values(), blobs.ping, list_names):
        with pytest.raises(Unavailable):
            await call()


# --- the directory adapter alone ------------------------------------------------------------------


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


def _run(target: Callable[..., None], *arguments: Any) -> int | None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join(DEADLINE_S)
    return process.exitcode
