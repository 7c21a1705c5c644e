"""Freeing the disk space of a part of a file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_worker.system.hole_punch import punch_hole

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 1024 * 1024


def test_a_hole_frees_space_and_keeps_offsets(tmp_path: Path) -> None:
    """The range reads as zeros, the file keeps its length, and its disk space shrinks."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * SIZE)
    with path.open("rb+") as file:
        os.fsync(file.fileno())
        before = os.fstat(file.fileno()).st_blocks

        punched = punch_hole(file.fileno(), 0, SIZE // 2)

        assert punched
        assert os.fstat(file.fileno()).st_blocks < before
    assert path.read_bytes() == bytes(SIZE // 2) + b"x" * (SIZE // 2)


def test_where_it_cannot_be_done_it_says_so() -> None:
    """A pipe has no holes."""
    reader, writer = os.pipe()

    assert not punch_hole(writer, 0, 10)

    os.close(reader)
    os.close(writer)
