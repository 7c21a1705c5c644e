"""Chunks of objects: each line and each record is in exactly one."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING, Any, cast

import pytest
from cloud._client.object_map import chunks_of, delimited, line_start, record_reader_for
from cloud._resources.object_download import CloudBucketObject
from hypothesis import given, settings
from hypothesis import strategies as st
from picloud_model.wire.bucket import ObjectDescription

if TYPE_CHECKING:
    from cloud._resources.object_download import OpenedVersion

TEXTS = (
    b"one\ntwo\nthree\n",
    b"no last newline\nlast",
    b"a line that is longer than any chunk of it\nx\n",
    b"windows\r\nlines\r\n\r\nend\r\n",
    b"\n\n\n",
    b"no newline at all",
    b"\nfirst is empty",
)


class Version:
    """An object in memory."""

    key = "key"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.object = ObjectDescription(key="key", size=len(data), etag="", modified_at=0.0)

    def read(self, start: int, end: int) -> bytes:
        return self._data[start:end]


def version_of(data: bytes) -> OpenedVersion:
    """Return bytes as a version of an object."""
    return cast("Any", Version(data))


def lines_by_chunk(data: bytes, size: int) -> list[bytes]:
    """Return the lines of all chunks, as the jobs of a map read them."""
    version = version_of(data)
    lines: list[bytes] = []
    for chunk in chunks_of("a", "", len(data), size):
        start, end = line_start(version, chunk.start), line_start(version, chunk.end)
        lines += CloudBucketObject(version, start, end)
    return lines


def records_by_chunk(data: bytes, delimiter: bytes, size: int) -> list[bytes]:
    """Return the records of all chunks, as the jobs of a map read them."""
    records: list[bytes] = []
    for chunk in chunks_of("a", "", len(data), size):
        opened = CloudBucketObject(version_of(data), 0, len(data))
        opened.seek(chunk.start)
        records += record_reader_for(delimiter)(opened, chunk.end)
    return records


@pytest.mark.parametrize("data", TEXTS)
def test_each_line_comes_once(data: bytes) -> None:
    """With any size of chunks: one ends within a line, before its end, between CR and LF."""
    expected = data.splitlines(keepends=True) if b"\r" not in data else None
    expected = expected or [line + b"\n" for line in data.split(b"\n")[:-1]]

    for size in range(1, len(data) + 2):
        assert lines_by_chunk(data, size) == expected, size


@given(data=st.text("a\n\r", max_size=30), delimiter=st.text("a\n", min_size=1, max_size=3))
def test_each_record_comes_once(data: str, delimiter: str) -> None:
    """Also where a delimiter overlaps itself, as an empty line among several ones does."""
    encoded, end = data.encode(), delimiter.encode()
    whole = CloudBucketObject(version_of(encoded), 0, len(encoded))
    expected = list(delimited(whole, end, len(encoded)))

    for size in range(1, len(encoded) + 2):
        assert records_by_chunk(encoded, end, size) == expected, size


def test_records_are_without_their_delimiters() -> None:
    """The last record needs none."""
    assert records_by_chunk(b"a;b;;c", b";", 100) == [b"a", b"b", b"", b"c"]
    assert records_by_chunk(b"a;b;", b";", 1) == [b"a", b"b"]
    assert records_by_chunk(b"a--b-c--", b"--", 2) == [b"a", b"b-c"]


def test_a_long_line_is_searched_for_its_end_block_by_block() -> None:
    """A line may be longer than what is read ahead."""
    data = b"x" * 200_000 + b"\n" + b"y"

    assert lines_by_chunk(data, 50_000) == [b"x" * 200_000 + b"\n", b"y"]


_ENDS = (b"\n", b"\r\n", b"\r", b"\n\r", b"\0", b"\xe2\x80\xa8", b"\x0b\x0c\x1c\x85", b"")
_LENGTHS = st.sampled_from((0, 0, 1, 2, 3, 65_534, 65_535, 65_536, 65_537, 131_073))


@given(
    lines=st.lists(st.tuples(_LENGTHS, st.sampled_from(_ENDS)), max_size=12),
    size=st.sampled_from((1, 2, 3, 7, 65_535, 65_536, 65_537, 200_000)),
    shift=st.integers(-2, 2),
)
@settings(deadline=None, max_examples=60)
def test_any_lines_come_once_whatever_ends_them(
    lines: list[tuple[int, bytes]], size: int, shift: int
) -> None:
    """Only a newline ends a line, as in a file that is read as bytes.

    Lines are longer than a chunk, and as long as what is read ahead; a chunk begins between CR and
    LF, the last line has no end, and an object may be empty.
    """
    data = b"".join(b"x" * length + end for length, end in lines)
    # At most 50 chunks, so that those of a few bytes are tried on short objects only.
    size = max(1, size + shift, len(data) // 50)

    assert lines_by_chunk(data, size) == list(io.BytesIO(data))
    assert records_by_chunk(data, b"\r\n", size) == _split(data, b"\r\n")


def _split(data: bytes, delimiter: bytes) -> list[bytes]:
    """Return what is before and between delimiters, and the rest, if there is any."""
    *ended, rest = data.split(delimiter)
    return [*ended, rest] if rest else ended


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_compressed_object_is_one_chunk_that_is_read_as_a_file(module: Any) -> None:
    """By the module that compressed it."""
    lines = [b"%d\r\n" % number for number in range(20_000)]
    data = module.compress(b"".join(lines))
    suffix = {gzip: "gz", bz2: "bz2", lzma: "xz"}[module]

    (chunk,) = chunks_of(f"a.{suffix}", "", len(data), 10)

    with CloudBucketObject(version_of(data), chunk.start, chunk.end) as opened:
        assert list(module.open(opened)) == lines


def test_compressed_objects_are_not_split() -> None:
    """They can only be read from their beginning."""
    for key in ("a.gz", "a.csv.BZ2", "a.zip"):
        assert len([*chunks_of(key, "", 1000, 10)]) == 1
    assert len([*chunks_of("a.csv", "", 1000, None)]) == 1
    assert [*chunks_of("a.csv", "", 0, 10)] == []
