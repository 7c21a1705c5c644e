"""Frames: what travels between the supervisor and a child, each behind its length."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model.wire import MAX_RESULT_BYTES, Ended, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

LENGTH: Final = struct.Struct("<I")
LARGEST: Final = MAX_RESULT_BYTES + 1024 * 1024
"""Longest frame a supervisor takes from a child: the largest result and what is around it."""


class Errand(msgspec.Struct, frozen=True, array_like=True):
    """Jobs for a child: all of one bundle, whose modules lie in directory `modules` ("" for none).

    `generation` counts the errands of a child; `files` says where the blobs lie that the leases
    name, by digest.
    """

    generation: int
    modules: str
    leases: list[Lease]
    files: dict[str, str] = {}


class Done(msgspec.Struct, frozen=True, array_like=True):
    """How the job at `position` of an errand ended, counted over all its leases."""

    generation: int
    position: int
    ended: Ended


class BrokenFrameError(Exception):
    """A child sent bytes that are no frame: something in it wrote where it must not."""


def frame(body: Any) -> bytes:
    """A value as msgpack behind its length."""
    encoded = msgspec.msgpack.encode(body)
    return LENGTH.pack(len(encoded)) + encoded


class Frames:
    r"""Cuts a stream of bytes back into frames.

    >>> frames = Frames(limit=100)
    >>> stream = frame([1]) + frame([2])
    >>> [list(frames.feed(part)) for part in (stream[:3], stream[3:])]
    [[], [b'\x91\x01', b'\x91\x02']]
    """

    def __init__(self, limit: int = LARGEST) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a frame has arrived in part."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes, and give each frame that is whole now.

        Raises:
            BrokenFrameError: When a length is beyond the limit.
        """
        self._buffer += data
        start, size = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            found = []
            while size - start >= LENGTH.size:
                (length,) = LENGTH.unpack_from(view, start)
                if length > self._limit:
                    raise BrokenFrameError(f"a frame of {length} bytes")
                end = start + LENGTH.size + length
                if end > size:
                    break
                found.append(bytes(view[start + LENGTH.size : end]))
                start = end
        del self._buffer[:start]
        return iter(found)
