"""The blobs that the jobs of a slot need: each is fetched once and kept."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from picloud_model.errors import BlobMissing

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_worker.api.client import ApiClient

KEPT_BYTES: Final = 512 * 1024 * 1024


class BlobCache:
    """A directory of blobs by digest, without those used least recently.

    Args:
        directory: The directory; it is made if it is missing.
        api: Where the blobs come from.
        most_bytes: The bytes kept when another blob is fetched; one blob may be larger.
    """

    def __init__(self, directory: Path, api: ApiClient, most_bytes: int = KEPT_BYTES) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._api = api
        self._most = most_bytes

    def has(self, digest: str) -> bool:
        """Whether a blob is in the cache."""
        return (self._directory / digest).exists()

    def path(self, digest: str) -> Path:
        """Return the file of a blob, which is fetched if need be.

        Raises:
            BlobMissing: When the server does not have it, or sends other bytes.
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
        actual = sha256()
        with partial.open("wb") as file:
            for piece in self._api.download(digest):
                actual.update(piece)
                file.write(piece)
        if actual.hexdigest() != digest:
            partial.unlink()
            raise BlobMissing(f"Blob {digest} arrived with other bytes.", digests=(digest,))
        partial.rename(path)

    def _make_room(self) -> None:
        files = [(file.stat(), file) for file in self._directory.iterdir()]
        total = sum(stat.st_size for stat, _ in files)
        for stat, file in sorted(files, key=lambda pair: pair[0].st_mtime_ns):
            if total <= self._most:
                break
            file.unlink()
            total -= stat.st_size
