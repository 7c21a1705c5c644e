"""Info as it travels: compressed if it is large, refused if it is damaged."""

from __future__ import annotations

import zlib

import pytest
from picloud_model import wire
from picloud_model.errors import RequestRefused


@pytest.mark.parametrize("length", [0, 10, 100_000])
def test_an_info_is_read_as_it_was_written(length: int) -> None:
    """Small ones as they are, large ones compressed."""
    info = wire.Info(streams={"stdout": wire.Stream(3, b"x" * length)}, user_s=1.5)

    packed = wire.pack_info(info)

    assert wire.unpack_info(packed) == info
    assert len(packed) < 2000


@pytest.mark.parametrize(
    "data",
    [b"", b"x", b"\xc1", zlib.compress(b"no info"), zlib.compress(b"x" * 2000)[:-9], b"\xa1\xd1"],
)
def test_a_damaged_info_is_refused(data: bytes) -> None:
    """It is an error of the slot that sent it."""
    with pytest.raises(RequestRefused, match="An info is damaged"):
        wire.unpack_info(data)


def test_a_compressed_info_cannot_fill_the_memory() -> None:
    """Decompression stops at the largest info there may be."""
    bomb = zlib.compress(b"\xc4" * (64 * 1024 * 1024), 9)

    with pytest.raises(RequestRefused, match="An info is damaged"):
        wire.unpack_info(bomb)
