"""Snapshots: the files of a volume at one moment, stored as blobs.

The entries of a volume are sorted by path and split into chunks, each of which is a blob. The blob
of the snapshot lists the chunks. Where a chunk ends depends on a digest of its last path alone, so
that a change of one file changes one chunk, however many files there are. The bytes of a file are
blobs of up to 4 MiB, its parts.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.errors import RequestRefused
from picloud_model.wire.body import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE: Final = "f"
FOLDER: Final = "d"
LINK: Final = "l"
PART_BYTES_OF_FILES: Final = 4 * 1024 * 1024
"""Length of the parts of a file, except for the last one."""
MOST_IN_CHUNK: Final = 4096
"""Most entries of a chunk."""
_ENTRIES_A_CHUNK: Final = 512
"""The average number of entries of a chunk."""
MAX_CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Largest chunk, in bytes."""
MAX_FILE_PATH: Final = 4096
"""Longest path of a file in a volume, in characters."""


class SnapshotEntry(msgspec.Struct, frozen=True, array_like=True):
    """A file, a directory or a symbolic link of a volume.

    `path` has no leading slash; `mode` are the permission bits. A file has a `size` and `parts`, a
    link has a `target`.
    """

    path: Annotated[str, Meta(min_length=1, max_length=MAX_FILE_PATH)]
    kind: Annotated[str, Meta(pattern="^[fdl]$", max_length=1)]
    mode: Annotated[int, Meta(ge=0, le=0o7777)] = 0
    modified_ns: int = 0
    size: Annotated[int, Meta(ge=0)] = 0
    parts: list[Digest] = []
    target: Annotated[str, Meta(max_length=MAX_FILE_PATH)] = ""


class SnapshotChunk(msgspec.Struct, frozen=True, array_like=True):
    """Some entries of a snapshot, ascending by path."""

    entries: Annotated[list[SnapshotEntry], Meta(min_length=1, max_length=MOST_IN_CHUNK)]


class ChunkRef(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The blob of a chunk: its digest and length, its first path, and what its files add up to."""

    digest: Digest
    length: Annotated[int, Meta(ge=0, le=MAX_CHUNK_BYTES)]
    first: Annotated[str, Meta(max_length=MAX_FILE_PATH)]
    entries: Annotated[int, Meta(ge=1, le=MOST_IN_CHUNK)]
    size: Annotated[int, Meta(ge=0)]


class Snapshot(msgspec.Struct, frozen=True, array_like=True):
    """The chunks of a snapshot, ascending."""

    chunks: Annotated[list[ChunkRef], Meta(max_length=100_000)] = []

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(chunk.size for chunk in self.chunks)

    @property
    def entries(self) -> int:
        """The number of files, directories and links."""
        return sum(chunk.entries for chunk in self.chunks)


def chunks_of(entries: Iterable[SnapshotEntry]) -> Iterator[SnapshotChunk]:
    """Yield the chunks of entries that are sorted by path.

    >>> [len(chunk.entries) for chunk in chunks_of([SnapshotEntry(path="a", kind="d")])]
    [1]
    """
    chunk: list[SnapshotEntry] = []
    for entry in entries:
        chunk.append(entry)
        digest = sha256(entry.path.encode()).digest()
        ends = int.from_bytes(digest[:4], "big") % _ENTRIES_A_CHUNK == 0
        if ends or len(chunk) == MOST_IN_CHUNK:
            yield SnapshotChunk(chunk)
            chunk = []
    if chunk:
        yield SnapshotChunk(chunk)


def referred(chunk: SnapshotChunk, digest: str, length: int) -> ChunkRef:
    """Return the reference to a chunk that is stored as a blob."""
    entries = chunk.entries
    size = sum(entry.size for entry in entries)
    return ChunkRef(
        digest=digest,
        length=length,
        first=entries[0].path,
        entries=len(entries),
        size=size,
    )


def checked_path(path: str) -> str:
    """Return the path of a file in a volume, if it is one.

    Raises:
        RequestRefused: When it leads outside of the volume, or cannot be a path.

    >>> checked_path("a/b.txt")
    'a/b.txt'
    """
    parts = path.split("/")
    if "\0" in path or not all(parts) or not {".", ".."}.isdisjoint(parts):
        raise RequestRefused(f"{path!r:.200} is not a path of a file in a volume.", field="path")
    return path


def check_entries(chunk: SnapshotChunk) -> None:
    """Check that entries are as they should be: ascending, inside of the volume, of whole files.

    Raises:
        RequestRefused: Says what is wrong with which.
    """
    before = ""
    for entry in chunk.entries:
        checked_path(entry.path)
        needed = -(-entry.size // PART_BYTES_OF_FILES) if entry.kind == FILE else 0
        if entry.path <= before or len(entry.parts) != needed:
            raise RequestRefused(f"The entry {entry.path!r:.200} of a snapshot is damaged.")
        before = entry.path
