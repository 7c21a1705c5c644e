"""A bundle's modules as a directory of this machine: fetched once, kept while they are used."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import platformdirs
from picloud_model import wire
from picloud_model.errors import PiCloudError
from picloud_model.wire import Content

from cloud._packing.errors import PackingError
from cloud.errors import CloudConnectionError, CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_KEPT_S: Final = 30 * 86_400
"""How long modules stay on this machine after their last use."""


def fetched(digest: str, read: Callable[[Sequence[Content]], Iterator[bytes]]) -> Path:
    """Return the directory with the modules of a bundle; fetch them where it is not there.

    Args:
        digest: The bundle's.
        read: Yields blobs of the account.

    Raises:
        PackingError: When the server no longer has them, or they cannot be stored.
        CloudConnectionError: When the server does not answer.
    """
    root = _root()
    tree = root / digest
    if tree.is_dir():
        os.utime(tree)
        return tree
    _remove_old(root)
    partial = Path(tempfile.mkdtemp(dir=root, suffix=".part"))
    try:
        _write(digest, partial, read)
        with suppress(OSError):  # another process was faster
            partial.rename(tree)
    except CloudConnectionError:
        raise
    except (PiCloudError, CloudException, OSError, msgspec.MsgspecError) as error:
        raise PackingError(f"its modules cannot be fetched: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return tree


def _write(
    digest: str, directory: Path, read: Callable[[Sequence[Content]], Iterator[bytes]]
) -> None:
    (manifest,) = read([Content(digest)])
    shipped = wire.decode(manifest, wire.Manifest)
    (directory / wire.ORIGINS_FILE).write_bytes(msgspec.json.encode(shipped.origins))
    paths: dict[str, list[Path]] = {}
    for module in shipped.modules:
        paths.setdefault(module.digest, []).append(directory / module.relative_path())
    # Read alone, as their sizes are unknown: several may not fit into one reply.
    for each, targets in paths.items():
        (content,) = read([Content(each)])
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _root() -> Path:
    """Return the directory for fetched modules, which only this user can write to."""
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
