"""Blobs in a slot: what jobs need is fetched once and kept; what they make is uploaded."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.errors import BlobMissing, NotAllowed, PiCloudError, Unavailable
from picloud_model.job import Cause, State
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire import BlobsMissing, Content, Failure, MissingBlobsRequest

from picloud_worker.failure import bounded, parcel

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_worker.api.client import ApiClient
    from picloud_worker.supervisor.lease import HeldJobs

KEPT_BYTES: Final = 512 * 1024 * 1024


class BlobCache:
    """A directory of blobs by digest; those used least recently make room.

    Args:
        directory: Where they lie; made if it is missing.
        api: Where they come from.
        most_bytes: Bytes kept when another one comes; one blob may be larger.
    """

    def __init__(self, directory: Path, api: ApiClient, most_bytes: int = KEPT_BYTES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._api = api
        self._most = most_bytes

    def has(self, digest: str) -> bool:
        """Whether a blob is here already."""
        return (self._directory / digest).exists()

    def path(self, digest: str) -> Path:
        """Where a blob lies, after fetching it if need be.

        Raises:
            BlobMissing: When the server does not have it, or has other bytes.
            Unavailable: When the server does not answer.
        """
        path = self._directory / digest
        try:
            os.utime(path)
        except FileNotFoundError:
            self._fetch(digest, path)
        return path

    def _fetch(self, digest: str, path: Path) -> None:
        self._make_room()
        partial = path.with_suffix(".part")
        found = sha256()
        with partial.open("wb") as file:
            for piece in self._api.download(digest):
                found.update(piece)
                file.write(piece)
        if found.hexdigest() != digest:
            partial.unlink()
            raise BlobMissing(f"Blob {digest} arrived with other bytes.", digests=(digest,))
        partial.rename(path)

    def _make_room(self) -> None:
        known = [(file.stat(), file) for file in self._directory.iterdir()]
        total = sum(stat.st_size for stat, _ in known)
        for stat, file in sorted(known, key=lambda pair: pair[0].st_mtime_ns):
            if total <= self._most:
                break
            file.unlink()
            total -= stat.st_size


def upload(api: ApiClient, data: bytes) -> Content:
    """Make bytes a blob of the account, unless the server has them.

    Raises:
        Unavailable: When the server does not answer.
        PiCloudError: When it refuses them.
    """
    digest = sha256(data).hexdigest()
    needed = MissingBlobsRequest(digests=[digest], sizes=[len(data)])
    answer = api.post("/v1/blobs/missing", needed, BlobsMissing)
    for wanted in answer.uploads:
        if wanted.digest != digest:
            raise Unavailable("the server asks for a blob that was not offered")
        api.upload(wanted.url, wanted.headers, data)
    return Content(digest, len(data))


def upload_large(api: ApiClient, holding: HeldJobs) -> None:
    """Upload the results and infos that are too large to travel in a report.

    Raises:
        Unavailable: When the server does not answer; those uploaded stay so.
        NotAllowed: When the server does not know this slot.
    """
    for at, ended in holding.large():
        if ended.info is not None and ended.info.data is not None:
            ended = replace(ended, info=_uploaded_info(api, ended.info.data))  # noqa: PLW2901
            holding.settle(at, ended)
        if len(ended.payload) <= INLINE_BYTES:
            continue
        try:
            holding.settle(at, replace(ended, payload=b"", blob=upload(api, ended.payload)))
        except (Unavailable, NotAllowed):
            raise
        except PiCloudError as error:
            message = f"the result could not be stored: {error.message}"
            failure = bounded(Failure(cause=Cause.PAYLOAD, message=message))
            told = replace(ended, state=State.ERROR, cause=failure.cause, payload=parcel(failure))
            holding.settle(at, told)


def _uploaded_info(api: ApiClient, data: bytes) -> Content | None:
    """An info as a blob; what a server refuses is not worth a job's result."""
    try:
        return upload(api, data)
    except (Unavailable, NotAllowed):
        raise
    except PiCloudError:
        return None
