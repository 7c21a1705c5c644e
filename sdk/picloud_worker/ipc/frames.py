"""Frames: what travels between the supervisor and a child, each behind its length."""

from __future__ import annotations

import struct
from typing import Any, Final, Generic, TypeVar

import msgspec
from picloud_model.wire import MAX_RESULT_BYTES, JobReport, Lease

Body = TypeVar("Body")

LENGTH: Final = struct.Struct("<I")
LARGEST: Final = MAX_RESULT_BYTES + 1024 * 1024
"""Longest frame a supervisor takes from a child: the largest result and what is around it."""


class Assignment(msgspec.Struct, frozen=True, array_like=True):
    """Jobs for a child: all of one bundle, whose modules lie in directory `modules` ("" for none).

    `generation` counts the assignments of a child; `files` says where the blobs lie that the leases
    name, by digest.
    """

    generation: int
    modules: str
    leases: list[Lease]
    files: dict[str, str] = {}


class JobStats(msgspec.Struct, frozen=True, array_like=True):
    """What a child says of a job beside how it ended.

    `ends` are the lengths of the files of stdout, stderr and the log at its end; times of
    CPU in seconds, `peak_bytes` its most memory, `profile` in words.
    """

    ends: tuple[int, int, int]
    user_s: float
    system_s: float
    peak_bytes: int
    profile: str | None = None


class JobDone(msgspec.Struct, frozen=True, array_like=True):
    """How the job at `position` of an assignment ended, counted over all its leases."""

    generation: int
    position: int
    ended: JobReport
    stats: JobStats | None = None


class BrokenFrameError(Exception):
    """A child sent bytes that are no frame: something in it wrote where it must not."""


def frame(body: Any) -> bytes:
    """A value as msgpack behind its length."""
    encoded = msgspec.msgpack.encode(body)
    return LENGTH.pack(len(encoded)) + encoded


class Frames(Generic[Body]):
    r"""Cuts a stream of bytes back into values of one kind.

    >>> frames = Frames(list[int], limit=100)
    >>> stream = frame([1]) + frame([2])
    >>> [frames.feed(part) for part in (stream[:3], stream[3:])]
    [[], [[1], [2]]]
    """

    def __init__(self, kind: type[Body], limit: int = LARGEST) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._limit = limit
        self._buffer = bytearray()

    @property
    def partial(self) -> bool:
        """Whether a frame has arrived in part."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Body]:
        """Take bytes, and give the value of each frame that is whole now.

        Raises:
            BrokenFrameError: When a length is beyond the limit, or a frame holds something else.
        """
        self._buffer += data
        found: list[Body] = []
        start, size = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while size - start >= LENGTH.size:
                (length,) = LENGTH.unpack_from(view, start)
                if length > self._limit:
                    raise BrokenFrameError(f"a frame of {length} bytes")
                end = start + LENGTH.size + length
                if end > size:
                    break
                with view[start + LENGTH.size : end] as body:
                    found.append(self._decoded(body))
                start = end
        del self._buffer[:start]
        return found

    def _decoded(self, body: memoryview) -> Body:
        try:
            return self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BrokenFrameError(str(error)) from error
