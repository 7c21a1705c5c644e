"""The bundles of a slot: the modules shipped with jobs, as directories to import from."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused, Unavailable
from picloud_model.wire import (
    ORIGINS_FILE,
    BlobsRead,
    Manifest,
    Module,
    ReadBlobsRequest,
    decode,
)

from picloud_worker.system import disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from picloud_worker.api.client import ApiClient

KEPT_BUNDLES: Final = 8
_AT_ONCE: Final = 64
"""The modules read in one request."""
_BAD_PATH: Final = (
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
    errno.EMLINK,
)
"""The errors of paths that cannot be made: they clash, or are too long for the file system."""


class Bundles:
    """Directories of modules by digest of their manifest; each is complete or missing.

    Args:
        directory: The directory for all of them.
        api: Where the modules come from.
    """

    def __init__(self, directory: Path, api: ApiClient) -> None:
        self._trees = directory / "trees"
        self._files = directory / "modules"
        self._api = api
        self._used: dict[str, None] = {}  # the digests of trees, the one used last at the end
        for path in (self._trees, self._files):
            path.mkdir(parents=True, exist_ok=True)

    def has(self, digest: str) -> bool:
        """Whether the modules of a bundle are here."""
        return (self._trees / digest).exists()

    def tree(self, digest: str) -> Path:
        """Return the directory of a bundle's modules, which are fetched if need be.

        Raises:
            BlobMissing: When the server lacks the manifest or a module.
            RequestRefused: When the manifest is invalid, names a file outside of its tree, or paths
                that cannot be together in it; or when the modules do not fit on the disk.
            Unavailable: When the server does not answer, or the disk is full at the moment.
        """
        tree = self._trees / digest
        # Noted here, not as the time of the directory: by that, jobs see whether modules changed.
        self._used.pop(digest, None)
        self._used[digest] = None
        if not tree.exists():
            self._build(digest, tree)
        return tree

    def _build(self, digest: str, tree: Path) -> None:
        manifest = self._manifest(digest)
        partial = self._trees / f"{secrets.token_hex(8)}.part"
        try:
            self._fetch(sorted({module.digest for module in manifest.modules}))
            partial.mkdir()
            for module in manifest.modules:
                self._link(module, partial)
            (partial / ORIGINS_FILE).write_bytes(msgspec.json.encode(manifest.origins))
            partial.rename(tree)
        except OSError as error:
            if not disk.is_full(error):
                raise
            needed = sum(file.stat().st_size for file in self._files.iterdir())
            raise disk.no_room(self._files, needed) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            self._evict()

    def _link(self, module: Module, tree: Path) -> None:
        target = tree / module.relative_path()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._files / module.digest, target)
        except (OSError, UnicodeEncodeError) as error:
            if isinstance(error, OSError) and error.errno not in _BAD_PATH:
                raise
            message = f"A shipped module cannot be stored at {module.path[:100]!r}: {error!r}"
            raise RequestRefused(message[:500], field="modules") from error

    def _manifest(self, digest: str) -> Manifest:
        (data,) = self._read([digest])
        try:
            return decode(data, Manifest)
        except msgspec.MsgspecError as error:
            raise RequestRefused(f"Bundle {digest} is not a manifest: {error}") from error

    def _fetch(self, digests: Sequence[str]) -> None:
        missing = [digest for digest in digests if not (self._files / digest).exists()]
        at = 0
        while at < len(missing):
            for data in self._read(missing[at : at + _AT_ONCE]):
                digest = missing[at]
                at += 1
                partial = self._files / f"{digest}.part"
                partial.write_bytes(data)
                partial.rename(self._files / digest)

    def _read(self, digests: list[str]) -> Iterator[bytes]:
        """Yield the first of some blobs, as many as the server puts into one reply."""
        answer = self._api.post("/v1/blobs/read", ReadBlobsRequest(digests=digests), BlobsRead)
        if not answer.blobs or len(answer.blobs) > len(digests):
            raise Unavailable("the server sent another number of blobs than were requested")
        for digest, data in zip(digests, answer.blobs, strict=False):
            if sha256(data).hexdigest() != digest:
                raise BlobMissing(f"Blob {digest} arrived with other bytes.", digests=(digest,))
            yield data

    def _evict(self) -> None:
        """Delete the trees used least recently, and the files that no tree has any longer."""
        used = {digest: at for at, digest in enumerate(self._used)}
        trees = sorted(self._trees.iterdir(), key=lambda tree: used.get(tree.name, -1))
        for tree in trees[:-KEPT_BUNDLES]:
            shutil.rmtree(tree, ignore_errors=True)
            self._used.pop(tree.name, None)
        for file in self._files.iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()
