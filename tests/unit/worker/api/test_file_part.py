"""A part of a file: its bytes in pieces, as often as needed."""

from __future__ import annotations

import os
import tempfile

import pytest
from picloud_worker.api.file_part import FilePart


@pytest.mark.parametrize(("start", "size"), [(0, 0), (0, 3_000_000), (5, 10), (2_999_999, 1)])
def test_a_part_has_its_bytes_each_time(start: int, size: int) -> None:
    """An upload that is repeated sends the same."""
    data = os.urandom(3_000_000)
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        part = FilePart(file, start, size)

        for _ in range(2):
            assert b"".join(part.pieces()) == data[start : start + size]
