"""Blobs: bytes that are named by their SHA-256, uploaded once and verified when read."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from picloud_model import wire
from picloud_model.wire import Content

from cloud._http.transport import send_hint
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloud._http.transport import Transport

Item = TypeVar("Item")

SMALL_BYTES: Final = 256 * 1024
"""Blobs up to this size share a request with others."""
REQUEST_BYTES: Final = 4 * 1024 * 1024
"""Maximum number of bytes of blobs or packs in one request."""
_MOST_CONFIRMED: Final = 20_000
_MOST_IN_REQUEST: Final = 1000
_PORTION_BYTES: Final = 64 * 1024 * 1024
"""Bytes that are uploaded before the server is asked where to send more: its URLs expire."""


def content_of(data: bytes) -> Content:
    """Return the digest and size of bytes.

    >>> content_of(b"abc").size
    3
    """
    return Content(sha256(data).hexdigest(), len(data))


class BlobClient:
    """Uploads blobs that the server lacks, and fetches blobs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._confirmed: set[str] = set()

    def ensure(
        self,
        sources: Mapping[str, bytes],
        *,
        anew: bool = False,
        jobs: wire.PricedJobs | None = None,
    ) -> None:
        """Make sure that the server holds these blobs.

        Args:
            sources: The blobs by their digests.
            anew: Ask about all of them, also those confirmed before; they may have been deleted.
            jobs: The jobs that they are for, which a budget may refuse before anything is sent.
        """
        unknown = [digest for digest in sources if anew or digest not in self._confirmed]
        for digests in portions((len(sources[digest]), digest) for digest in unknown):
            sizes = [len(sources[digest]) for digest in digests]
            needed = wire.MissingBlobsRequest(digests=digests, sizes=sizes, jobs=jobs)
            answer = send_hint(self._ask, needed, "jobs")
            sized = [(len(sources[upload.digest]), upload) for upload in answer.uploads]
            for group in grouped(sized):
                self.send(group, [sources[upload.digest] for upload in group])
            self._confirm(digests)

    def fetch(self, contents: Sequence[Content]) -> Iterator[bytes]:
        """Yield blobs in this order; several small ones are read by one request.

        Raises:
            CloudException: When a blob's bytes do not match its digest.
        """
        for group in grouped([(content.size, content) for content in contents]):
            if len(group) == 1:
                blobs = [self._transport.get(f"/v1/blobs/{group[0].digest}")]
            else:
                request = wire.ReadBlobsRequest(digests=[content.digest for content in group])
                blobs = self._transport.post("/v1/blobs/read", request, wire.BlobsRead).blobs
            for content, data in zip(group, blobs, strict=True):
                if sha256(data).hexdigest() != content.digest:
                    raise CloudException(f"Blob {content.digest[:12]} arrived damaged.")
                yield data

    def send(self, group: Sequence[wire.Upload], blobs: list[bytes]) -> None:
        """Send a group of blobs: one alone to its URL, several small ones in one request."""
        if len(group) == 1:
            self._transport.put(group[0].url, blobs[0], group[0].headers)
        else:
            request = wire.StoreBlobsRequest(blobs=blobs)
            self._transport.post("/v1/blobs", request, wire.BlobsStored)

    def _ask(self, needed: wire.MissingBlobsRequest) -> wire.BlobsMissing:
        return self._transport.post("/v1/blobs/missing", needed, wire.BlobsMissing)

    def _confirm(self, digests: Iterable[str]) -> None:
        if len(self._confirmed) > _MOST_CONFIRMED:
            self._confirmed = set()
        self._confirmed.update(digests)


def portions(
    sized: Iterable[tuple[int, str]],
    most: int = _MOST_IN_REQUEST,
    most_bytes: int = _PORTION_BYTES,
) -> Iterator[list[str]]:
    """Yield as many digests at a time as one request names, and as are soon uploaded.

    Args:
        sized: The size of each blob in bytes, and its digest.
        most: Maximum number of digests at a time.
        most_bytes: Maximum size of the blobs at a time, unless one alone is larger.

    >>> list(portions([(1, "a"), (1, "b"), (1, "c")], most=2))
    [['a', 'b'], ['c']]
    """
    portion: list[str] = []
    total = 0
    for size, digest in sized:
        if portion and (len(portion) == most or total + size > most_bytes):
            yield portion
            portion, total = [], 0
        portion.append(digest)
        total += size
    if portion:
        yield portion


def grouped(
    sized: Sequence[tuple[int, Item]], most: int = _MOST_IN_REQUEST
) -> Iterator[list[Item]]:
    """Group small neighbours up to the size of a request; a large item is a group of its own.

    Args:
        sized: The size of each item in bytes, and the item.
        most: Maximum number of items in a group.

    >>> [len(group) for group in grouped([(1, "a")] * 1500)]
    [1000, 500]
    """
    group: list[Item] = []
    total = 0
    for size, item in sized:
        full = total + size > REQUEST_BYTES or len(group) == most
        if group and (size > SMALL_BYTES or full):
            yield group
            group, total = [], 0
        group.append(item)
        total += size
        if size > SMALL_BYTES:
            yield group
            group, total = [], 0
    if group:
        yield group
