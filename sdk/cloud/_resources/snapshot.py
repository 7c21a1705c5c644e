"""Snapshots of volumes: read from blobs and stored as blobs."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire
from picloud_model.errors import RequestRefused
from picloud_model.wire.snapshot import (
    FOLDER,
    Snapshot,
    SnapshotChunk,
    SnapshotEntry,
    check_entries,
    chunks_of,
    referred,
)

from cloud._resources.blob import BlobClient, grouped, portions
from cloud._resources.local_tree import part_length
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloud._http.transport import Transport
    from cloud._resources.local_tree import LocalTree

_AT_ONCE: Final = 8
"""Requests that are sent at the same time."""
_AHEAD: Final = 2
"""Requests for parts that are sent before the parts are written; each returns up to 4 MiB."""
_SENT: Final = 100
"""Parts in one request. S3 stores each by itself: 1,000 of them, while other requests send as many,
take longer than a request may where the server is busy."""
_ASKED: Final = 2000
"""Parts of which the server is asked in one request which it lacks."""

Entries = dict[str, SnapshotEntry]
PartSource = tuple[SnapshotEntry, int]
"""A file, and the number of one of its parts."""


class SnapshotStore:
    """Loads and saves the entries of snapshots, and the bytes of files."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._blobs = BlobClient(transport)

    def load(self, digest: str) -> Entries:
        """Return the entries of a snapshot by path; none for an empty digest.

        Raises:
            CloudException: When the snapshot is damaged.
        """
        if not digest:
            return {}
        try:
            root = self._transport.get(f"/v1/blobs/{digest}")
            if sha256(root).hexdigest() != digest:
                raise CloudException(f"Snapshot {digest[:12]} arrived damaged.")
            snapshot = msgspec.msgpack.decode(root, type=Snapshot)
            contents = [wire.Content(ref.digest, ref.length) for ref in snapshot.chunks]
            entries: Entries = {}
            decoder = msgspec.msgpack.Decoder(SnapshotChunk)
            for data in self._blobs.fetch(contents):
                chunk = decoder.decode(data)
                check_entries(chunk)
                entries.update((entry.path, entry) for entry in chunk.entries)
        except (msgspec.MsgspecError, RequestRefused) as error:
            raise CloudException(f"Snapshot {digest[:12]} is damaged: {error}") from error
        _check_parents(entries)
        return entries

    def save(self, entries: Mapping[str, SnapshotEntry]) -> str:
        """Store a snapshot of entries and return its digest."""
        refs = []
        blobs: dict[str, bytes] = {}
        encoder = msgspec.msgpack.Encoder()
        for chunk in chunks_of(entries[path] for path in sorted(entries)):
            data = encoder.encode(chunk)
            digest = sha256(data).hexdigest()
            blobs[digest] = data
            refs.append(referred(chunk, digest, len(data)))
        root = encoder.encode(Snapshot(refs))
        digest = sha256(root).hexdigest()
        self._blobs.ensure({**blobs, digest: root}, anew=True)
        return digest

    def fetch(
        self, parts: Sequence[tuple[str, int]], progress: Callable[[int], None]
    ) -> Iterator[bytes]:
        """Yield the bytes of parts, given by digest and length; a few requests are sent ahead."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few scripts need it

        def fetched(group: list[wire.Content]) -> list[bytes]:
            return [*self._blobs.fetch(group)]

        groups = grouped([(part[1], wire.Content(*part)) for part in parts])
        with ThreadPoolExecutor(_AHEAD, "picloud-volume") as threads:
            waiting = deque(threads.submit(fetched, group) for group in islice(groups, _AHEAD))
            try:
                while waiting:
                    blobs = waiting.popleft().result()
                    waiting.extend(threads.submit(fetched, group) for group in islice(groups, 1))
                    for data in blobs:
                        progress(len(data))
                        yield data
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def send(
        self, files: Sequence[SnapshotEntry], tree: LocalTree, progress: Callable[[int], None]
    ) -> None:
        """Send the parts of files that the server lacks."""
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - few scripts need it

        sources: dict[str, PartSource] = {}
        for entry in files:
            for number, part in enumerate(entry.parts):
                sources.setdefault(part, (entry, number))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            # The server lists the names from the first to the last one of a request: without an
            # order each request would have it list all that the account has stored.
            ordered = sorted(sources)
            sized_parts = ((part_length(*sources[part]), part) for part in ordered)
            for portion in portions(sized_parts, _ASKED):
                sizes = [part_length(*sources[part]) for part in portion]
                needed = wire.MissingBlobsRequest(digests=portion, sizes=sizes)
                answer = self._transport.post("/v1/blobs/missing", needed, wire.BlobsMissing)
                sized = [(part_length(*sources[each.digest]), each) for each in answer.uploads]
                progress(sum(sizes) - sum(size for size, _ in sized))

                def sent(group: list[wire.Upload]) -> int:
                    blobs = [tree.part(*sources[each.digest]) for each in group]
                    self._blobs.send(group, blobs)
                    return sum(map(len, blobs))

                for size in pool.map(sent, grouped(sized, _SENT)):
                    progress(size)


def _check_parents(entries: Mapping[str, SnapshotEntry]) -> None:
    """Check that everything is in directories: a path through a link could lead anywhere.

    Raises:
        CloudException: When something is not.
    """
    for path in entries:
        parent = path.rpartition("/")[0]
        if parent and (parent not in entries or entries[parent].kind != FOLDER):
            raise CloudException(f"The snapshot is damaged: {parent:.200} is not a directory.")
