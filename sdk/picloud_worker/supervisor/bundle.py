"""The bundles of a slot: the modules shipped with jobs, as directories to import from."""

from __future__ import annotations

import os
import secrets
import shutil
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import BlobMissing, RequestRefused
from picloud_model.wire import BlobsRead, Manifest, Module, ReadBlobsRequest, decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from picloud_worker.api.client import ApiClient

KEPT_BUNDLES: Final = 8
_AT_ONCE: Final = 64
"""The modules read in one request."""


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
        for path in (self._trees, self._files):
            path.mkdir(parents=True, exist_ok=True)

    def has(self, digest: str) -> bool:
        """Whether the modules of a bundle are here."""
        return (self._trees / digest).exists()

    def tree(self, digest: str) -> Path:
        """Return the directory of a bundle's modules, which are fetched if need be.

        Raises:
            BlobMissing: When the server lacks the manifest or a module.
            RequestRefused: When the manifest is invalid, or names a file outside of its tree.
            Unavailable: When the server does not answer.
        """
        tree = self._trees / digest
        try:
            os.utime(tree)
        except FileNotFoundError:
            self._build(digest, tree)
        return tree

    def _build(self, digest: str, tree: Path) -> None:
        manifest = self._manifest(digest)
        self._fetch(sorted({module.digest for module in manifest.modules}))
        partial = self._trees / f"{secrets.token_hex(8)}.part"
        partial.mkdir()
        for module in manifest.modules:
            target = partial / checked(module)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self._files / module.digest, target)
        partial.rename(tree)
        self._evict()

    def _manifest(self, digest: str) -> Manifest:
        (data,) = self._read([digest])
        try:
            return decode(data, Manifest)
        except msgspec.MsgspecError as error:
            raise RequestRefused(f"Bundle {digest} is no manifest: {error}") from error

    def _fetch(self, digests: Sequence[str]) -> None:
        missing = [digest for digest in digests if not (self._files / digest).exists()]
        for start in range(0, len(missing), _AT_ONCE):
            portion = missing[start : start + _AT_ONCE]
            for digest, data in zip(portion, self._read(portion), strict=True):
                partial = self._files / f"{digest}.part"
                partial.write_bytes(data)
                partial.rename(self._files / digest)

    def _read(self, digests: list[str]) -> Iterator[bytes]:
        answer = self._api.post("/v1/blobs/read", ReadBlobsRequest(digests=digests), BlobsRead)
        for digest, data in zip(digests, answer.blobs, strict=True):
            if sha256(data).hexdigest() != digest:
                raise BlobMissing(f"Blob {digest} arrived with other bytes.", digests=(digest,))
            yield data

    def _evict(self) -> None:
        """Delete the trees used least recently, and the files that no tree has any longer."""
        trees = sorted(self._trees.iterdir(), key=lambda tree: tree.stat().st_mtime_ns)
        for tree in trees[:-KEPT_BUNDLES]:
            shutil.rmtree(tree, ignore_errors=True)
        for file in self._files.iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()


def checked(module: Module) -> PurePosixPath:
    """Return the path of a module, if it is inside of its tree.

    Raises:
        RequestRefused: When it is not.

    >>> str(checked(Module("a/b.py", "")))
    'a/b.py'
    """
    path = PurePosixPath(module.path)
    if path.is_absolute() or not path.parts or ".." in path.parts or set("\\\0:") & {*module.path}:
        raise RequestRefused(f"A shipped module may not lie at {module.path!r}.", field="modules")
    return path
