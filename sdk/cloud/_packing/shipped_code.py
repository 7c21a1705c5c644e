"""The modules of results: fetched from the server when this process cannot import them itself.

They are put at the end of `sys.path`, so that they never take the place of a module that this
machine has. Of two bundles with a module of the same name, the one fetched first counts.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model import wire
from picloud_model.errors import PiCloudError
from picloud_model.wire import Content
from picloud_pickle.results import code

from cloud._packing.errors import PackingError
from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

log = logging.getLogger(__name__)

_KEPT_S: Final = 30 * 86_400
"""How long modules stay on this machine after their last use."""


class ShippedCode:
    """Makes the modules of bundles importable in this process.

    Args:
        read: Yields blobs of the account.
    """

    def __init__(self, read: Callable[[Sequence[Content]], Iterator[bytes]]) -> None:
        self._read = read
        self._lock = Lock()

    def provide(self, digests: Sequence[str]) -> bool:
        """Make modules importable; return whether there are more of them now than before.

        Raises:
            PackingError: When the server no longer has them, or they cannot be stored.
            CloudConnectionError: When the server does not answer.
        """
        with self._lock:
            missing = [digest for digest in digests if digest not in code.TREES]
            for digest in missing:
                tree = self._tree(digest)
                sys.path.append(str(tree))
                code.TREES.add(digest, str(tree))
                log.debug("modules of bundle %s are imported from %s", digest[:12], tree)
        if missing:
            importlib.invalidate_caches()
        return bool(missing)

    def _tree(self, digest: str) -> Path:
        root = _root()
        tree = root / digest
        if tree.is_dir():
            os.utime(tree)
            return tree
        _remove_old(root)
        partial = Path(tempfile.mkdtemp(dir=root, suffix=".part"))
        try:
            self._write(digest, partial)
            with suppress(OSError):  # another process was faster
                partial.rename(tree)
        except CloudConnectionError:
            raise
        except (PiCloudError, CloudException, OSError, msgspec.MsgspecError) as error:
            raise PackingError(f"its modules cannot be fetched: {error}") from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return tree

    def _write(self, digest: str, directory: Path) -> None:
        (manifest,) = self._read([Content(digest)])
        shipped = wire.decode(manifest, wire.Manifest)
        (directory / wire.ORIGINS_FILE).write_bytes(msgspec.json.encode(shipped.origins))
        paths: dict[str, list[Path]] = {}
        for module in shipped.modules:
            paths.setdefault(module.digest, []).append(directory / module.relative_path())
        # Read alone, as their sizes are unknown: several may not fit into one reply.
        for each, targets in paths.items():
            (content,) = self._read([Content(each)])
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)


def _root() -> Path:
    """Return the directory for fetched modules, which only this user can write to."""
    import platformdirs  # noqa: PLC0415 - few results need modules fetched

    root = Path(platformdirs.user_cache_dir("picloud", appauthor=False), "bundles")
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        Path(tempfile.mkdtemp(dir=root)).rmdir()
    except OSError:
        return Path(tempfile.mkdtemp(prefix="picloud-bundles-"))
    return root


def _remove_old(root: Path) -> None:
    for tree in root.iterdir():
        with suppress(OSError):
            if time.time() - tree.stat().st_mtime > _KEPT_S:
                shutil.rmtree(tree, ignore_errors=True)
