"""Open files: what is fetched, and what is stored when."""

from __future__ import annotations

import contextlib
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from picloud_model.errors import ObjectChanged, Unavailable
from picloud_worker.mount.files import FIRST_BYTES, Reader, Writer

from tests.polling import until
from tests.unit.worker.mount.memory_bucket import MemoryBucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def opened(
    bucket: MemoryBucket, tmp_path: Path, *, empty: bool = False, appends: bool = False
) -> Iterator[Writer]:
    """A file `a` that is open for writing."""
    client: Any = bucket
    file = Writer(client, "a", empty=empty, appends=appends, directory=str(tmp_path))
    yield file
    file.close()


def reader(bucket: MemoryBucket) -> Reader:
    """A file `a` that is open for reading."""
    client: Any = bucket
    return Reader(client, client.open("a"))


def read(file: Reader, length: int, offset: int) -> bytes:
    """Read from a file as the kernel does."""
    buffer = bytearray(length)
    return bytes(buffer[: file.read(memoryview(buffer), offset)])


def test_a_reader_that_seeks_fetches_little() -> None:
    """Ten bytes of a large object are not the whole of it."""
    bucket = MemoryBucket(a=os.urandom(5_000_000))

    assert read(reader(bucket), 10, 3_000_000) == bucket.objects["a"][3_000_000:3_000_010]

    assert bucket.read_bytes <= FIRST_BYTES


@pytest.mark.parametrize("step", [4096, 100_000, 3_000_000])
def test_a_reader_in_sequence_gets_every_byte_once(step: int) -> None:
    """Whatever the length of its reads."""
    data = os.urandom(9_000_001)
    bucket = MemoryBucket(a=data)
    file = reader(bucket)

    found = b"".join(read(file, step, at) for at in range(0, len(data) + step, step))

    assert found == data
    assert bucket.read_bytes == len(data)


def test_a_response_that_breaks_off_is_requested_again_from_there() -> None:
    """As a server does that has waited long for the program to read on."""
    data = os.urandom(9_000_001)
    bucket = MemoryBucket(a=data)
    bucket.breaks_after = 3
    file = reader(bucket)

    found = b"".join(read(file, 100_000, at) for at in range(0, len(data), 100_000))

    assert found == data
    assert bucket.breaks_after < 0


def test_requests_that_overtake_each_other_are_still_in_sequence() -> None:
    """The kernel requests ahead: every byte is fetched once, in as many responses as in order."""
    data = os.urandom(20_000_000)
    bucket = MemoryBucket(a=data)
    file, step = reader(bucket), 500_000
    starts = [*range(0, 3_000_000, step)]
    for at in range(3_000_000, len(data), 2 * step):
        starts += [at + step, at]

    found = {at: read(file, step, at) for at in starts}

    assert b"".join(found[at] for at in sorted(found)) == data
    assert bucket.read_bytes == len(data)
    assert bucket.streams <= 5


def test_threads_that_read_ahead_read_every_byte_once() -> None:
    """In whatever order their requests arrive."""
    data = os.urandom(20_000_000)
    bucket = MemoryBucket(a=data)
    file, step = reader(bucket), 500_000
    for at in range(0, 3_000_000, step):
        read(file, step, at)

    with ThreadPoolExecutor(3) as threads:
        found = b"".join(
            threads.map(lambda at: read(file, step, at), range(3_000_000, len(data), step))
        )

    assert found == data[3_000_000:]


def test_a_reader_that_seeks_ahead_in_a_long_response_keeps_it() -> None:
    """What it left out is there if it is read afterwards."""
    data = os.urandom(20_000_000)
    bucket = MemoryBucket(a=data)
    file = reader(bucket)
    for at in range(0, 5_000_000, 500_000):
        read(file, 500_000, at)
    streams = bucket.streams

    later, earlier = read(file, 10, 6_000_000), read(file, 10, 5_500_000)

    assert (later, earlier) == (data[6_000_000:6_000_010], data[5_500_000:5_500_010])
    assert bucket.streams == streams


def test_a_reader_has_one_version() -> None:
    """An object that was replaced is an error, not a mixture."""
    bucket = MemoryBucket(a=bytes(1_000_000))
    file = reader(bucket)
    read(file, 10, 0)

    bucket.objects["a"] = b"new" * 400_000

    with pytest.raises(ObjectChanged):
        read(file, 10, 900_000)


def test_an_object_that_is_replaced_while_it_is_read_in_sequence_is_an_error_of_the_read() -> None:
    """A later request is for the version that was opened as well."""
    bucket = MemoryBucket(a=bytes(9_000_000))
    file = reader(bucket)
    for at in range(0, 4_000_000, 100_000):
        read(file, 100_000, at)

    bucket.objects["a"] = b"new"

    with pytest.raises(ObjectChanged):
        for at in range(4_000_000, 9_000_000, 100_000):
            read(file, 100_000, at)


def test_a_reader_refuses_to_write() -> None:
    """As a file that is open for reading does."""
    file = reader(MemoryBucket(a=b"abc"))

    for refused in (lambda: file.write(b"x", 0), lambda: file.truncate(1)):
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            refused()


def test_a_writer_stores_what_was_changed_only(tmp_path: Path) -> None:
    """Closing a file that was not changed stores nothing, and twice stores once."""
    bucket = MemoryBucket(a=b"0123456789")
    with opened(bucket, tmp_path) as file:
        file.upload()
        assert bucket.writes == 0

        file.write(b"xy", 3)
        file.truncate(7)
        file.upload()
        file.upload()

    assert (bucket.writes, bucket.objects["a"]) == (1, b"012xy56")


def test_a_new_file_is_stored_even_if_it_is_empty(tmp_path: Path) -> None:
    """As `touch` makes one."""
    bucket = MemoryBucket()

    with opened(bucket, tmp_path, empty=True) as file:
        file.upload()

    assert bucket.objects == {"a": b""}


def test_appending_ignores_the_offset(tmp_path: Path) -> None:
    """The kernel's idea of the end may be old."""
    bucket = MemoryBucket(a=b"one\n")

    with opened(bucket, tmp_path, appends=True) as file:
        file.write(b"two\n", 0)
        file.write(b"three\n", 2)
        file.upload()

    assert bucket.objects["a"] == b"one\ntwo\nthree\n"


def test_what_was_not_stored_is_stored_later(tmp_path: Path) -> None:
    """After an error the file is still to be stored."""
    bucket = MemoryBucket()
    bucket.is_away = True
    with opened(bucket, tmp_path, empty=True) as file:
        with pytest.raises(Unavailable):
            file.upload()

        bucket.is_away = False
        file.upload()

    assert bucket.objects == {"a": b""}


def written(file: Writer, mib: int) -> bytes:
    """Write a file from its beginning on; return what it has."""
    blocks = [os.urandom(1024) * 1024 for _ in range(mib)]
    for number, block in enumerate(blocks):
        file.write(block, number * len(block))
    return b"".join(blocks)


def test_parts_of_a_large_file_are_sent_while_it_is_written(tmp_path: Path) -> None:
    """The object is stored by its upload only; what follows is another version."""
    bucket = MemoryBucket()
    with opened(bucket, tmp_path, empty=True) as file:
        data = written(file, 100)
        until(lambda: len(bucket.parts) == 6, "six parts of 16 MiB are sent")
        assert not bucket.objects

        assert file.upload()

        assert (bucket.objects, bucket.writes, bucket.uploads) == ({"a": data}, 0, 1)
        file.write(b"more", len(data))
        assert file.upload()

    assert bucket.objects == {"a": data + b"more"}
    assert not bucket.parts


@pytest.mark.parametrize("change", ["back", "ahead", "cut", "renamed", "failed", "closed"])
def test_parts_that_were_sent_too_early_are_given_up(tmp_path: Path, change: str) -> None:
    """The whole file is then sent when it is uploaded, and nothing is left of its parts."""
    bucket = MemoryBucket()
    with opened(bucket, tmp_path, empty=True) as file:
        bucket.is_away = change == "failed"
        data = bytearray(written(file, 81))
        assert bucket.uploads == 1
        if change == "back":
            data[5:8] = b"new"
            file.write(b"new", 5)
        elif change == "ahead":
            data += b"\0ab"
            file.write(b"ab", len(data) - 2)
        elif change == "cut":
            del data[70_000_000:]
            file.truncate(len(data))
        elif change == "renamed":
            file.key = "b"
        elif change == "failed":
            assert file._parts is not None
            until(file._parts.have_failed, "a part could not be sent")
            bucket.is_away = False
        if change != "closed":
            assert file.upload()

    stored = {} if change == "closed" else {file.key: bytes(data)}
    assert bucket.objects == stored
    assert (bucket.writes, bucket.parts) == (len(stored), {})
