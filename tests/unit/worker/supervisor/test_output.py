"""The files of output: cut job by job, bounded, and never split within a character."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from picloud_model.info import MOST_CHARACTERS
from picloud_model.wire import Stream
from picloud_worker.supervisor.output import (
    KEPT_BYTES,
    PORTION_BYTES,
    Output,
    last_characters,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Output]:
    """One stream of a child."""
    stream = Output(tmp_path)
    yield stream
    stream.close()


def write(output: Output, data: bytes) -> int:
    """Append as a child would, and return the length of the file."""
    os.write(output.descriptor, data)
    return os.fstat(output.descriptor).st_size


def test_jobs_are_cut_where_they_ended(output: Output) -> None:
    """The bytes between two ends belong to one job, though more was written since."""
    ends = [write(output, text) for text in (b"first\n", b"", b"third\n")]
    write(output, b"fourth, so far")

    streams = [output.take(end) for end in ends]

    assert streams == [Stream(0, b"first\n"), None, Stream(0, b"third\n")]
    assert output.look() == Stream(0, b"fourth, so far")
    assert output.take() == Stream(0, b"fourth, so far")


def test_the_end_of_a_long_output_is_kept(output: Output) -> None:
    """It is the last 64k characters; the bytes before them are counted."""
    text = "ä" * MOST_CHARACTERS
    written = "x" * 100 + text

    end = write(output, written.encode())

    assert output.take(end) == Stream(100, text.encode())


@pytest.mark.parametrize("text", ["a", "ä", "€", "𝄞"])
def test_a_character_is_never_split(output: Output, text: str) -> None:
    """A character that is read while half of it is written comes later, complete."""
    data = text.encode()
    write(output, b"x" + data[:-1])

    assert output.look(0).data == b"x"
    write(output, data[-1:])
    assert output.look(1) == Stream(1, data)


def test_bytes_that_are_no_text_are_kept() -> None:
    """In binary output each byte counts as one character."""
    assert whole(b"\xff\xfe") == b"\xff\xfe"
    assert last_characters(b"\xff" * 10, 4) == b"\xff" * 4
    assert whole(b"\x80\x80\x80\x80\x80") == b"\x80" * 5


def test_a_follower_gets_portions(output: Output) -> None:
    """With an offset a bounded portion is returned, and the next one continues after it."""
    data = bytes(range(65, 91)) * 10_000
    write(output, data)
    offset, followed = 0, b""

    while portion := output.look(offset).data:
        assert len(portion) <= PORTION_BYTES
        followed += portion
        offset += len(portion)

    assert followed == data


@pytest.mark.parametrize("holes", [True, False])
def test_disk_space_is_freed(tmp_path: Path, holes: bool) -> None:
    """The output of a job that prints without end takes bounded disk space; its end is kept."""
    output = Output(tmp_path) if holes else Output(tmp_path, lambda *_: False)
    for _ in range(40):
        write(output, b"y" * (KEPT_BYTES // 2))
        output.bound()
    assert os.fstat(output.descriptor).st_blocks * 512 <= 3 * KEPT_BYTES

    write(output, b"the end")
    stream = output.take()

    assert stream is not None
    assert stream.data.endswith(b"the end")
    write(output, b"next job")
    output.bound()
    assert output.take() == Stream(0, b"next job")
    output.close()


@pytest.mark.parametrize("size", [0, 5, 2**40])
def test_a_job_may_cut_the_file(output: Output, size: int) -> None:
    """A shortened or lengthened file fails nothing, and the next job has its own output."""
    os.write(output.descriptor, b"x" * 5_000_000)
    output.bound()
    os.ftruncate(output.descriptor, size)

    output.tail()
    output.look()
    output.look(2_000_000)
    output.take(4_000_000)
    output.take()
    os.write(output.descriptor, b"next")
    stream = output.take()

    assert stream is not None
    assert stream.data == b"next"


@pytest.mark.parametrize("end", [-5, 2**63, 2**64 - 1])
def test_a_forged_end_is_bounded(output: Output, end: int) -> None:
    """The end that a child reports is not trusted."""
    os.write(output.descriptor, b"first")
    output.take(end)
    output.take()
    os.write(output.descriptor, b"next")
    stream = output.take()

    assert stream is not None
    assert stream.data == b"next"
