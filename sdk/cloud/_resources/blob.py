"""Blobs: bytes named by their SHA-256, uploaded once and checked when read."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from picloud_model import wire
from picloud_model.wire import Content

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cloud._http.transport import Transport

Item = TypeVar("Item")

SMALL_BYTES: Final = 256 * 1024
"""Blobs up to this size travel several in one request."""
REQUEST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of blobs or packs put into one request."""
_REMEMBERED: Final = 20_000
_ASKED_AT_ONCE: Final = 1000


def content_of(data: bytes) -> Content:
    """The name and size of some bytes, as a blob.

    >>> content_of(b"abc").size
    3
    """
    return Content(sha256(data).hexdigest(), len(data))


class BlobClient:
    """Uploads what the server lacks and fetches what it holds."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._confirmed: set[str] = set()

    def ensure(self, sources: Mapping[str, bytes], *, anew: bool = False) -> None:
        """Make sure that the server holds these blobs.

        Args:
            sources: The blobs by their digests.
            anew: Ask also about those known to be there; they may have been swept since.
        """
        unknown = [digest for digest in sources if anew or digest not in self._confirmed]
        for start in range(0, len(unknown), _ASKED_AT_ONCE):
            asked = unknown[start : start + _ASKED_AT_ONCE]
            sizes = [len(sources[digest]) for digest in asked]
            needed = wire.MissingBlobsRequest(digests=asked, sizes=sizes)
            answer = self._transport.post("/v1/blobs/missing", needed, wire.BlobsMissing)
            self._upload(answer.uploads, sources)
            self._remember(asked)

    def fetch(self, contents: Sequence[Content]) -> Iterator[bytes]:
        """Read blobs in the order given, several small ones in one request.

        Raises:
            CloudException: When bytes are not those their name promises.
        """
        for group in _grouped([(content.size, content) for content in contents]):
            if len(group) == 1:
                found = [self._transport.get(f"/v1/blobs/{group[0].digest}")]
            else:
                asked = wire.ReadBlobsRequest(digests=[content.digest for content in group])
                found = self._transport.post("/v1/blobs/read", asked, wire.BlobsRead).blobs
            for content, data in zip(group, found, strict=True):
                if sha256(data).hexdigest() != content.digest:
                    raise CloudException(f"Blob {content.digest[:12]} arrived damaged.")
                yield data

    def _upload(self, uploads: Sequence[wire.Upload], sources: Mapping[str, bytes]) -> None:
        sized = [(len(sources[upload.digest]), upload) for upload in uploads]
        for group in _grouped(sized):
            read = [sources[upload.digest] for upload in group]
            if len(group) == 1:
                self._transport.put(group[0].url, read[0], group[0].headers)
            else:
                self._transport.post(
                    "/v1/blobs", wire.StoreBlobsRequest(blobs=read), wire.BlobsStored
                )

    def _remember(self, digests: Iterable[str]) -> None:
        if len(self._confirmed) > _REMEMBERED:
            self._confirmed = set()
        self._confirmed.update(digests)


def _grouped(sized: Sequence[tuple[int, Item]]) -> Iterator[list[Item]]:
    """Neighbours that are small go together, up to a request's size; a large one goes alone."""
    group: list[Item] = []
    total = 0
    for size, item in sized:
        if group and (size > SMALL_BYTES or total + size > REQUEST_BYTES):
            yield group
            group, total = [], 0
        group.append(item)
        total += size
        if size > SMALL_BYTES:
            yield group
            group, total = [], 0
    if group:
        yield group
