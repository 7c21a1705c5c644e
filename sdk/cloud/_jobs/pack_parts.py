"""Bundling pickled arguments into the parts of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import msgspec
from picloud_model import pack
from picloud_model.pack import INLINE_BYTES
from picloud_model.page import PAGE_JOBS
from picloud_model.wire import Content, PackPart

from cloud._resources.blob import content_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OVERHEAD: Final = len(pack.write([]))
_PER_ITEM: Final = len(pack.write([b""])) - _OVERHEAD


class PackedPart(msgspec.Struct, frozen=True):
    """A part of a batch; `blob` is its pack if that is too large for the request."""

    part: PackPart
    blob: bytes | pack.Pieces | None = None

    @property
    def size(self) -> int:
        """Bytes in memory until the part is sent."""
        return len(self.part.content.data or b"") + len(self.blob or b"")


def pack_parts(parcels: Iterable[bytes | pack.Pieces]) -> Iterator[PackedPart]:
    """Bundle parcels into packs of one page and at most 256 KiB each; a larger parcel goes alone.

    If the same large object follows itself, as when all jobs of a map share an argument, its pack
    is neither written nor hashed again.

    >>> [packed.part.count for packed in pack_parts([b"x"] * 1500)]
    [1000, 500]
    """
    first = 0
    large: bytes | pack.Pieces | None = None
    packed: bytes | pack.Pieces = b""
    content = Content()
    for run in _runs(parcels):
        if run[0] is not large:
            packed = _packed(run)
            if isinstance(packed, bytes) and len(packed) <= INLINE_BYTES:
                content, large = Content(size=len(packed), data=packed), None
            else:
                content, large = content_of(packed), run[0]
        yield PackedPart(PackPart(first, len(run), content), None if large is None else packed)
        first += len(run)


def _packed(run: list[bytes | pack.Pieces]) -> bytes | pack.Pieces:
    if isinstance(run[0], pack.Pieces):  # it is alone
        return pack.write_long(run[0])
    return pack.write(cast("list[bytes]", run))


def _runs(parcels: Iterable[bytes | pack.Pieces]) -> Iterator[list[bytes | pack.Pieces]]:
    run: list[bytes | pack.Pieces] = []
    size = _OVERHEAD
    for at, parcel in enumerate(parcels, 1):
        added = _PER_ITEM + len(parcel)
        if run and size + added > INLINE_BYTES:
            yield run
            run, size = [], _OVERHEAD
        run.append(parcel)
        size += added
        if at % PAGE_JOBS == 0 or size > INLINE_BYTES:
            yield run
            run, size = [], _OVERHEAD
    if run:
        yield run
