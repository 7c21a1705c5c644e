"""The blobs of a slot: those that jobs need are fetched once, large results are uploaded."""

from __future__ import annotations

import contextlib
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from msgspec.structs import replace
from picloud_http.shared_files import SharedFiles, may_share
from picloud_model.errors import BlobMissing, NotAllowed, PiCloudError, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import BlobsMissing, Content, Failure, MissingBlobsRequest
from picloud_model.wire.blob import MAX_FAILURE

from picloud_worker.failure import bounded, parcel
from picloud_worker.system import disk

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from picloud_model.wire import JobReport

    from picloud_worker.api.client import ApiClient

KEPT_BYTES: Final = 512 * 1024 * 1024
_MOST_CHECKED: Final = 10_000
"""Blobs in files of the server that had the right bytes, unless they have changed since."""


class BlobCache:
    """A directory of blobs by digest, from which the least recently used are evicted.

    Args:
        directory: The directory; it is made if it is missing.
        api: Where the blobs come from.
        most_bytes: The bytes kept when another blob is fetched, and not more than a quarter of the
            file system; one blob may be larger.
        shares: Whether jobs run as the user of this process, and so may read files of a server that
            does, too: these are not copied.
    """

    def __init__(
        self,
        directory: Path,
        api: ApiClient,
        most_bytes: int = KEPT_BYTES,
        *,
        shares: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._shares = shares and may_share(api.url)
        self._files: SharedFiles | None = None
        self._checked: dict[str, tuple[int, int, int]] = {}
        self._directory = directory
        self._api = api
        self._most = min(most_bytes, disk.total_bytes(directory) // 4)

    def has(self, digest: str) -> bool:
        """Whether a blob is in the cache."""
        return digest in self._checked or (self._directory / digest).exists()

    def paths(self, digests: Sequence[str]) -> dict[str, Path]:
        """Return the files of some blobs, which are fetched if need be.

        Raises:
            BlobMissing: When the server does not have one, or sends other bytes.
            RequestRefused: When one does not fit on the disk.
            Unavailable: When the server does not answer, or the disk is full at the moment.
        """
        paths = {}
        for digest in digests:
            path = self._shared(digest)
            if path is None:
                path = self._directory / digest
                try:
                    os.utime(path)
                except FileNotFoundError:
                    self._fetch(digest, path, digests)
            paths[digest] = path
        return paths

    def _shared(self, digest: str) -> Path | None:
        """Return the file of the server that is a blob, if it is here; it is checked once."""
        files = self.files()
        if files is None or (self._directory / digest).exists():
            return None
        stamp = files.stamp(digest)
        if stamp is None or self._checked.get(digest) != stamp:
            self._checked.pop(digest, None)
            if stamp is None or not files.check(digest):
                return None
            if len(self._checked) >= _MOST_CHECKED:
                self._checked.clear()
            self._checked[digest] = stamp
        return Path(files.path(digest))

    def files(self) -> SharedFiles | None:
        """Return the files that the server shares with this slot, if it does; it is asked once."""
        if self._shares:
            request = MissingBlobsRequest(digests=[], files="where")
            answer = self._api.post("/v1/blobs/missing", request, BlobsMissing)
            self._files = SharedFiles.found(answer.files)
            self._shares = False
        return self._files

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


def upload(api: ApiClient, data: bytes, files: SharedFiles | None = None) -> Content:
    """Upload bytes as a blob of the account, unless the server has it.

    Args:
        api: The server.
        data: The bytes.
        files: The files that it shares with this slot.

    Raises:
        Unavailable: When the server does not answer.
        PiCloudError: When it refuses the blob.
    """
    digest = sha256(data).hexdigest()
    is_written = files is not None and files.write(digest, (data,))
    how: Literal["written"] | None = "written" if is_written else None
    needed = MissingBlobsRequest(digests=[digest], sizes=[len(data)], files=how)
    answer = api.post("/v1/blobs/missing", needed, BlobsMissing)
    for wanted in answer.uploads:
        if wanted.digest != digest:
            raise Unavailable("the server asks for a blob that was not offered")
        try:
            api.upload(wanted.url, wanted.headers, data)
        except Unavailable as error:
            if urlsplit(wanted.url).scheme:
                _tell(api, replace(needed, failure=str(error)[:MAX_FAILURE], files=None))
            raise
    return Content(digest, len(data))


def _tell(api: ApiClient, failed: MissingBlobsRequest) -> None:
    """Tell the server why its blob store, which answers only us, did not take a blob."""
    with contextlib.suppress(PiCloudError):
        api.post("/v1/blobs/missing", failed, BlobsMissing)


def offload(api: ApiClient, report: JobReport, files: SharedFiles | None = None) -> JobReport:
    """Upload the info and the result of a job where they are large; return the report without.

    A result that the server refuses is an error of the job; an info that it refuses is dropped.

    Raises:
        Unavailable: When the server does not answer.
        NotAllowed: When the server does not know this slot.
    """
    report = _without_result(api, report, files)
    info = None if report.info is None else report.info.data
    if info is None or len(report.payload) + len(info) <= INLINE_BYTES:
        return report
    return replace(report, info=_uploaded_info(api, info, files))


def _without_result(api: ApiClient, report: JobReport, files: SharedFiles | None) -> JobReport:
    if report.blob is None and len(report.payload) <= INLINE_BYTES:
        return report
    try:
        if report.blob is not None:
            _hand_over(api, report.blob, files)
            return report
        return replace(report, payload=b"", blob=upload(api, report.payload, files))
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError as error:
        message = f"the result could not be stored: {error.message}"
        failure = bounded(Failure(cause=Cause.PAYLOAD, message=message))
        return replace(
            report, state=State.ERROR, cause=failure.cause, payload=parcel(failure), blob=None
        )


def _hand_over(api: ApiClient, content: Content, files: SharedFiles | None) -> None:
    """Name a result that the child has written to a file; if the server lacks it, send it.

    Raises:
        PiCloudError: When it is not there, or as `upload` raises.
    """
    needed = MissingBlobsRequest(digests=[content.digest], sizes=[content.size], files="written")
    if not api.post("/v1/blobs/missing", needed, BlobsMissing).uploads:
        return
    data = None if files is None else files.left(content.digest)
    if data is None:
        raise BlobMissing("the file that its process wrote is gone.", digests=(content.digest,))
    upload(api, data)


def _uploaded_info(api: ApiClient, data: bytes, files: SharedFiles | None) -> Content | None:
    try:
        return upload(api, data, files)
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError:
        return None
