"""Output: files cut job by job, bounded, and never split within a character."""

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
    made = Output(tmp_path)
    yield made
    made.close()


def write(output: Output, data: bytes) -> int:
    """Append as a child would; answers how long the file is then."""
    os.write(output.descriptor, data)
    return os.fstat(output.descriptor).st_size


def test_jobs_are_cut_where_they_ended(output: Output) -> None:
    """What lies between two ends is one job's, though more was written since."""
    ends = [write(output, text) for text in (b"first\n", b"", b"third\n")]
    write(output, b"fourth, so far")

    told = [output.take(end) for end in ends]

    assert told == [Stream(0, b"first\n"), None, Stream(0, b"third\n")]
    assert output.look() == Stream(0, b"fourth, so far")
    assert output.take() == Stream(0, b"fourth, so far")


def test_the_end_of_much_is_kept(output: Output) -> None:
    """ "last 64k chars": what comes before is counted and not told."""
    text = "ä" * MOST_CHARACTERS
    written = "x" * 100 + text

    end = write(output, written.encode())

    assert output.take(end) == Stream(100, text.encode())


@pytest.mark.parametrize("text", ["a", "ä", "€", "𝄞"])
def test_a_character_is_never_split(output: Output, text: str) -> None:
    """Whoever reads while half a character is written gets it later, whole."""
    data = text.encode()
    write(output, b"x" + data[:-1])

    assert output.look(0).data == b"x"
    write(output, data[-1:])
    assert output.look(1) == Stream(1, data)


def test_bytes_that_are_no_text_are_told_as_they_are() -> None:
    """Binary output is nobody's fault: each byte counts as one character."""
    assert whole(b"\xff\xfe") == b"\xff\xfe"
    assert last_characters(b"\xff" * 10, 4) == b"\xff" * 4
    assert whole(b"\x80\x80\x80\x80\x80") == b"\x80" * 5


def test_a_follower_gets_portions(output: Output) -> None:
    """With an offset a bounded portion is told, and the next one goes on where it ended."""
    data = bytes(range(65, 91)) * 10_000
    write(output, data)
    known, seen = 0, b""

    while portion := output.look(known).data:
        assert len(portion) <= PORTION_BYTES
        seen += portion
        known += len(portion)

    assert seen == data


@pytest.mark.parametrize("holes", [True, False])
def test_disk_space_is_freed(tmp_path: Path, holes: bool) -> None:
    """The output of a job that prints without end takes bounded disk space; its end is kept."""
    output = Output(tmp_path) if holes else Output(tmp_path, lambda *_: False)
    for _ in range(40):
        write(output, b"y" * (KEPT_BYTES // 2))
        output.bound()
    assert os.fstat(output.descriptor).st_blocks * 512 <= 3 * KEPT_BYTES

    write(output, b"the end")
    found = output.take()

    assert found is not None
    assert found.data.endswith(b"the end")
    write(output, b"next job")
    output.bound()
    assert output.take() == Stream(0, b"next job")
    output.close()
