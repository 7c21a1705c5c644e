"""Blobs: bytes that are named by their SHA-256, uploaded once and verified when read."""

from __future__ import annotations

from collections import deque
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

from picloud_model import wire
from picloud_model.errors import BlobMissing
from picloud_model.pack import Pieces, parts_of, seal_pieces, sha256_of
from picloud_model.wire import Content

from cloud._http.transport import send_hint
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from picloud_http.shared_files import SharedFiles

    from cloud._http.transport import Transport

Item = TypeVar("Item")
Result = TypeVar("Result")
Blob = bytes | Pieces
"""The bytes of a blob; those of a large one are not joined."""

SMALL_BYTES: Final = 256 * 1024
"""Blobs up to this size share a request with others."""
REQUEST_BYTES: Final = 4 * 1024 * 1024
"""Maximum number of bytes of blobs or packs in one request."""
_MOST_CONFIRMED: Final = 20_000
_MOST_IN_REQUEST: Final = 1000
_AT_ONCE: Final = 4
"""Requests with bytes of blobs that are under way at the same time."""
_PORTION_BYTES: Final = 64 * 1024 * 1024
"""Bytes that are uploaded before the server is asked where to send more: its URLs expire."""


def content_of(data: Blob) -> Content:
    """Return the digest and size of bytes.

    >>> content_of(b"abc").size
    3
    """
    return Content(sha256_of(data), len(data))


class BlobClient:
    """Uploads blobs that the server lacks, and fetches blobs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._confirmed: set[str] = set()
        self._places: wire.BlobsMissing | None = None
        self._files: SharedFiles | None = None

    def ensure(
        self,
        sources: Mapping[str, Blob],
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
            uploads = self._shared(send_hint(self._ask, needed, "jobs").uploads, sources)
            sized = [(len(sources[upload.digest]), upload) for upload in uploads]
            groups = [*grouped(sized)]
            for _ in _in_parallel(partial(self._send_from, sources), groups):
                pass
            self._confirm(digests)

    def _send_from(self, sources: Mapping[str, Blob], group: Sequence[wire.Upload]) -> None:
        self.send(group, [sources[upload.digest] for upload in group])

    def seal(self, pickled: Pieces) -> Pieces:
        """Return the parcel of a long pickle, which becomes a blob, as this server reads it."""
        return seal_pieces(pickled, unsealed=self._server().unsealed)

    def _shared(
        self, uploads: Sequence[wire.Upload], sources: Mapping[str, Blob]
    ) -> Sequence[wire.Upload]:
        """Write large blobs to files of the server, if it runs here; return what is to be sent."""
        large = [each.digest for each in uploads if len(sources[each.digest]) > SMALL_BYTES]
        if not large:
            return uploads
        self._server()
        files = self._files
        if files is None:
            return uploads
        # In parallel, as the kernel takes as long to find memory for a file as hashing takes.
        done = _in_parallel(lambda each: files.write(each, parts_of(sources[each])), large)
        written = [each for each, is_written in zip(large, done, strict=True) if is_written]
        if not written:
            return uploads
        request = wire.MissingBlobsRequest(
            digests=written, sizes=[len(sources[each]) for each in written], files="written"
        )
        refused = self._ask(request).uploads
        return [*(each for each in uploads if each.digest not in written), *refused]

    def _server(self) -> wire.BlobsMissing:
        """Return what the server does with large blobs; it is asked once."""
        if self._places is None:
            request = wire.MissingBlobsRequest(digests=[], files="where")
            self._places = answer = send_hint(self._ask, request, "files")
            from picloud_http.shared_files import (  # noqa: PLC0415 - for large blobs only
                SharedFiles,
                may_share,
            )

            if may_share(self._transport.address.url):
                self._files = SharedFiles.found(answer.files)
        return self._places

    def _local(self, content: Content) -> bytes | None:
        """Return a large blob that is a file here."""
        if content.size <= SMALL_BYTES or self._files is None:
            return None
        try:
            return self._files.read(content.digest)
        except BlobMissing:
            raise _damaged(content) from None

    def fetch(self, contents: Sequence[Content]) -> Iterator[bytes]:
        """Yield blobs in this order; small ones share requests, large ones are read in parallel.

        Raises:
            CloudException: When a blob's bytes do not match its digest.
        """
        groups = [*grouped([(content.size, content) for content in contents])]
        if any(content.size > SMALL_BYTES for content in contents):
            self._server()  # once, and not in each thread
        for blobs in _in_parallel(self._fetched, groups):
            yield from blobs

    def _fetched(self, group: Sequence[Content]) -> Sequence[bytes]:
        if len(group) == 1:
            if (found := self._local(group[0])) is not None:
                return [found]
            blobs = [self._transport.get(f"/v1/blobs/{group[0].digest}")]
        else:
            request = wire.ReadBlobsRequest(digests=[content.digest for content in group])
            blobs = self._transport.post("/v1/blobs/read", request, wire.BlobsRead).blobs
        for content, data in zip(group, blobs, strict=True):
            if sha256(data).hexdigest() != content.digest:
                raise _damaged(content)
        return blobs

    def send(self, group: Sequence[wire.Upload], blobs: Sequence[Blob]) -> None:
        """Send a group of blobs: one alone to its URL, several small ones in one request."""
        if len(group) == 1:
            self._transport.put(group[0].url, blobs[0], group[0].headers)
        else:
            request = wire.StoreBlobsRequest(blobs=[bytes(blob) for blob in blobs])
            self._transport.post("/v1/blobs", request, wire.BlobsStored)

    def _ask(self, needed: wire.MissingBlobsRequest) -> wire.BlobsMissing:
        return self._transport.post("/v1/blobs/missing", needed, wire.BlobsMissing)

    def _confirm(self, digests: Iterable[str]) -> None:
        if len(self._confirmed) > _MOST_CONFIRMED:
            self._confirmed = set()
        self._confirmed.update(digests)


def _damaged(content: Content) -> CloudException:
    return CloudException(f"Blob {content.digest[:12]} arrived damaged.")


def _in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield the results of some work in order; threads are at most some items ahead."""
    if len(items) <= 1:
        yield from map(work, items)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - for large blobs only

    threads = ThreadPoolExecutor(_AT_ONCE, "picloud-blobs")
    try:
        ahead = deque(threads.submit(work, item) for item in items[:_AT_ONCE])
        for item in items[_AT_ONCE:]:
            yield ahead.popleft().result()
            ahead.append(threads.submit(work, item))
        while ahead:
            yield ahead.popleft().result()
    finally:  # Ctrl-C does not wait for requests that are under way
        threads.shutdown(wait=False, cancel_futures=True)


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
