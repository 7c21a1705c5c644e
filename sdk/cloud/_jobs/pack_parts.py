"""Bundling pickled arguments into the parts of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
    blob: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes in memory until the part is sent."""
        return len(self.part.content.data or b"") + len(self.blob or b"")


def pack_parts(parcels: Iterable[bytes]) -> Iterator[PackedPart]:
    """Bundle parcels into packs of one page and at most 256 KiB each; a larger parcel goes alone.

    If the same large object follows itself, as when all jobs of a map share an argument, its pack
    is neither written nor hashed again.

    >>> [packed.part.count for packed in pack_parts([b"x"] * 1500)]
    [1000, 500]
    """
    first = 0
    large: bytes | None = None
    content, packed = Content(), b""
    for run in _runs(parcels):
        if run[0] is not large:
            packed = pack.write(run)
            inline = len(packed) <= INLINE_BYTES
            content = Content(size=len(packed), data=packed) if inline else content_of(packed)
            large = None if inline else run[0]
        yield PackedPart(PackPart(first, len(run), content), None if large is None else packed)
        first += len(run)


def _runs(parcels: Iterable[bytes]) -> Iterator[list[bytes]]:
    run: list[bytes] = []
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
