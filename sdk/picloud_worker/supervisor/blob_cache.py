"""The blobs of a slot: those that jobs need are fetched once, large results are uploaded."""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec.structs import replace
from picloud_model.errors import BlobMissing, NotAllowed, PiCloudError, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import BlobsMissing, Content, Failure, MissingBlobsRequest
from picloud_model.wire.blob import MAX_FAILURE

from picloud_worker.failure import bounded, parcel
from picloud_worker.system import disk

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from picloud_model.wire import JobReport

    from picloud_worker.api.client import ApiClient

KEPT_BYTES: Final = 512 * 1024 * 1024


class BlobCache:
    """A directory of blobs by digest, from which the least recently used are evicted.

    Args:
        directory: The directory; it is made if it is missing.
        api: Where the blobs come from.
        most_bytes: The bytes kept when another blob is fetched, and not more than a quarter of the
            file system; one blob may be larger.
    """

    def __init__(self, directory: Path, api: ApiClient, most_bytes: int = KEPT_BYTES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._api = api
        self._most = min(most_bytes, disk.total_bytes(directory) // 4)

    def has(self, digest: str) -> bool:
        """Whether a blob is in the cache."""
        return (self._directory / digest).exists()

    def paths(self, digests: Sequence[str]) -> dict[str, Path]:
        """Return the files of some blobs, which are fetched if need be.

        Raises:
            BlobMissing: When the server does not have one, or sends other bytes.
            RequestRefused: When one does not fit on the disk.
            Unavailable: When the server does not answer, or the disk is full at the moment.
        """
        paths = {digest: self._directory / digest for digest in digests}
        for digest, path in paths.items():
            try:
                os.utime(path)
            except FileNotFoundError:
                self._fetch(digest, path, digests)
        return paths

    def _fetch(self, digest: str, path: Path, kept: Collection[str]) -> None:
        self._evict(self._most, kept)
        try:
            self._download(digest, path)
        except OSError as error:
            if not disk.is_full(error):
                raise
            self._evict(0, kept)
            self._download_alone(digest, path)

    def _download_alone(self, digest: str, path: Path) -> None:
        """Download a blob once nothing else can be evicted."""
        try:
            self._download(digest, path)
        except OSError as error:
            if not disk.is_full(error):
                raise
            partial = path.with_suffix(".part")
            needed = partial.stat().st_size
            partial.unlink()
            raise disk.no_room(self._directory, needed) from error

    def _download(self, digest: str, path: Path) -> None:
        partial = path.with_suffix(".part")
        actual = sha256()
        with partial.open("wb") as file:
            for piece in self._api.download(digest):
                actual.update(piece)
                file.write(piece)
        if actual.hexdigest() != digest:
            partial.unlink()
            raise BlobMissing(f"Blob {digest} arrived with other bytes.", digests=(digest,))
        partial.rename(path)

    def _evict(self, most_bytes: int, kept: Collection[str]) -> None:
        """Delete the blobs used least recently, except for some, until the rest is small enough."""
        files = [(file.stat(), file) for file in self._directory.iterdir()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, file in sorted(files, key=lambda pair: pair[0].st_mtime_ns):
            if total <= most_bytes:
                break
            if file.name not in kept:
                file.unlink()
                total -= stat.st_size


def upload(api: ApiClient, data: bytes) -> Content:
    """Upload bytes as a blob of the account, unless the server has it.

    Raises:
        Unavailable: When the server does not answer.
        PiCloudError: When it refuses the blob.
    """
    digest = sha256(data).hexdigest()
    needed = MissingBlobsRequest(digests=[digest], sizes=[len(data)])
    answer = api.post("/v1/blobs/missing", needed, BlobsMissing)
    for wanted in answer.uploads:
        if wanted.digest != digest:
            raise Unavailable("the server asks for a blob that was not offered")
        try:
            api.upload(wanted.url, wanted.headers, data)
        except Unavailable as error:
            if urlsplit(wanted.url).scheme:
                _tell(api, replace(needed, failure=str(error)[:MAX_FAILURE]))
            raise
    return Content(digest, len(data))


def _tell(api: ApiClient, failed: MissingBlobsRequest) -> None:
    """Tell the server why its blob store, which answers only us, did not take a blob."""
    with contextlib.suppress(PiCloudError):
        api.post("/v1/blobs/missing", failed, BlobsMissing)


def offload(api: ApiClient, report: JobReport) -> JobReport:
    """Upload the info and the result of a job where they are large; return the report without.

    A result that the server refuses is an error of the job; an info that it refuses is dropped.

    Raises:
        Unavailable: When the server does not answer.
        NotAllowed: When the server does not know this slot.
    """
    if report.info is not None and report.info.data is not None:
        report = replace(report, info=_uploaded_info(api, report.info.data))
    if len(report.payload) <= INLINE_BYTES:
        return report
    try:
        return replace(report, payload=b"", blob=upload(api, report.payload))
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError as error:
        message = f"the result could not be stored: {error.message}"
        failure = bounded(Failure(cause=Cause.PAYLOAD, message=message))
        return replace(report, state=State.ERROR, cause=failure.cause, payload=parcel(failure))


def _uploaded_info(api: ApiClient, data: bytes) -> Content | None:
    try:
        return upload(api, data)
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError:
        return None
