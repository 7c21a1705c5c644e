"""Frames: the messages between the supervisor and a child, each after its length."""

from __future__ import annotations

import struct
from typing import Any, Final, Generic, TypeVar

import msgspec
from picloud_model.wire import MAX_RESULT_BYTES, JobReport, Lease, ProfiledCall
from picloud_model.wire.secret import JobSecret

Body = TypeVar("Body")

LENGTH: Final = struct.Struct("<I")
LARGEST: Final = MAX_RESULT_BYTES + 1024 * 1024
"""The longest frame that a supervisor accepts: the largest result, and room for the rest."""


_SHORT: Final = 16 * 1024


class Provision(msgspec.Struct, frozen=True):
    """What leases need in a child, as an `Assignment` names it."""

    modules: str
    files: dict[str, str]
    secrets: list[JobSecret] = []
    results: str = ""


class Assignment(msgspec.Struct, frozen=True, array_like=True):
    """Jobs for a child, all of one bundle.

    `generation` counts the assignments of the child, `modules` is the directory of the bundle (""
    for none), `files` are the paths of the leases' blobs by digest, `secrets` those of the first
    job, after which a child that got some runs no other, `results` the directory to write large
    results to ("" for none).
    """

    generation: int
    modules: str
    leases: list[Lease]
    files: dict[str, str] = {}
    secrets: list[JobSecret] = []
    results: str = ""

    @classmethod
    def of(cls, generation: int, leases: list[Lease], provision: Provision) -> Assignment:
        """Return the assignment of leases with what they need."""
        return cls(
            generation=generation,
            modules=provision.modules,
            leases=leases,
            files=provision.files,
            secrets=provision.secrets,
            results=provision.results,
        )


class JobProfile(msgspec.Struct, frozen=True, array_like=True):
    """A profile as `pstats` prints it, and the calls that it was printed from."""

    text: str
    calls: list[ProfiledCall]


class JobStats(msgspec.Struct, frozen=True, array_like=True):
    """What a child records about a job besides its result.

    `ends` are the lengths of the files of stdout, stderr and the log at the end of the job,
    `user_s` and `system_s` its CPU time, `peak_bytes` its peak memory, and `profile` where its time
    went. `remarks` say what was done to its interpreter after it.
    """

    ends: tuple[int, int, int]
    user_s: float
    system_s: float
    peak_bytes: int
    profile: JobProfile | None = None
    remarks: list[str] = []


class JobDone(msgspec.Struct, frozen=True, array_like=True):
    """The end of a job; `position` counts the jobs of the assignment over all its leases."""

    generation: int
    position: int
    report: JobReport
    stats: JobStats | None = None


class BrokenFrameError(Exception):
    """A child sent bytes that are not a frame: user code wrote to its pipe."""


def frame(body: Any) -> bytes:
    """Return a value as msgpack after its length."""
    encoded = msgspec.msgpack.encode(body)
    return LENGTH.pack(len(encoded)) + encoded


class Frames(Generic[Body]):
    r"""Splits a stream of bytes into frames, and decodes them as values of one type.

    >>> frames = Frames(list[int], limit=100)
    >>> stream = frame([1]) + frame([2])
    >>> [frames.feed(part) for part in (stream[:3], stream[3:])]
    [[], [[1], [2]]]
    """

    def __init__(self, kind: type[Body], limit: int = LARGEST) -> None:
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._limit = limit
        self._buffer = bytearray()
        self._needed = 0

    @property
    def partial(self) -> bool:
        """Whether a part of a frame has arrived."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Body]:
        """Add bytes, and return the value of each frame that is complete now.

        Raises:
            BrokenFrameError: When a length is over the limit, or a frame is no such value.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return []
            return self._split(self._buffer)
        return self._split(data)

    def _split(self, data: bytes | bytearray) -> list[Body]:
        values: list[Body] = []
        start, size = 0, len(data)
        head, decode = LENGTH.size, self._decoder.decode
        self._needed = 0
        while size - start >= head:
            (length,) = LENGTH.unpack_from(data, start)
            if length > self._limit:
                raise BrokenFrameError(f"a frame of {length} bytes")
            end = start + head + length
            if end > size:
                self._needed = end - start
                break
            # To copy a short frame takes less time than to make a view of it.
            body = (
                data[start + head : end]
                if length < _SHORT
                else memoryview(data)[start + head : end]
            )
            try:
                values.append(decode(body))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise BrokenFrameError(str(error)) from error
            start = end
        self._buffer = bytearray(data[start:])
        return values
