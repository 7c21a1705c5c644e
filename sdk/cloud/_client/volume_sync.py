"""Synchronizing a directory of this machine with a volume, as rsync does."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_model.wire.snapshot import FILE, FOLDER, SnapshotEntry

from cloud._arguments.volume_path import VolumePath, joined
from cloud._config import profile
from cloud._config.settings import ClientSettings
from cloud._resources.digest_cache import DigestCache
from cloud._resources.local_tree import LocalTree
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from cloud._resources.volume import Changes, VolumeClient

    Shown = Callable[[int], AbstractContextManager[Callable[[int], None]]]
    """Shows the progress of so many bytes; yields what counts those that have arrived."""


def sync_to_volume(
    volumes: VolumeClient, source: str, dest: VolumePath, shown: Shown, *, delete: bool
) -> None:
    """Store a file or a directory of this machine in a volume.

    Raises:
        CloudException: When there is no such file or volume, or it does not fit.
    """
    loaded = volumes.load(dest.name)
    if not os.path.lexists(source):
        raise CloudException(f"{source} does not exist on this machine.")
    if os.path.isdir(source):  # noqa: PTH112
        tree = LocalTree(source, _digests(source))
        contents = source.endswith(("/", "/.")) or source == "."
        into = dest.path if contents else joined(dest.path, _name(source))
        scanned = tree.scan()
        wanted = {joined(into, path): entry for path, entry in scanned.items()}
        if into:
            top = tree.entry("", os.stat(source))  # noqa: PTH116
            wanted[into] = top or SnapshotEntry(path=into, kind=FOLDER, mode=0o755)
    else:
        folder, name = os.path.split(os.path.abspath(source))  # noqa: PTH100
        tree = LocalTree(folder, DigestCache())
        entry = tree.entry(name, os.lstat(source))
        if entry is None:
            raise CloudException(f"{source} is neither a file nor a directory nor a link.")
        old = loaded.entries.get(dest.path)
        inside = dest.contents or (old is not None and old.kind == FOLDER)
        into = joined(dest.path, name) if inside else dest.path
        scanned, wanted = {name: entry}, {into: entry}
    changes: Changes = {
        path: renamed
        for path, entry in wanted.items()
        if (renamed := replace(entry, path=path)) != loaded.entries.get(path)
    }
    if delete and os.path.isdir(source):  # noqa: PTH112
        changes.update((path, None) for path in _below(loaded.entries, into) if path not in wanted)
    changed = {path for path, entry in changes.items() if entry is not None}
    files = [entry for path, entry in wanted.items() if path in changed and entry.kind == FILE]
    volumes.check_room(loaded, changes)
    with shown(sum(entry.size for entry in files)) as progress:
        volumes.snapshots.send(files, tree, progress)
    volumes.change(loaded, changes)


def sync_from_volume(
    volumes: VolumeClient, source: VolumePath, dest: str, shown: Shown, *, delete: bool
) -> None:
    """Write a file or a directory of a volume to this machine.

    Raises:
        CloudException: When there is no such file, or it cannot be written.
    """
    entries = volumes.load(source.name).entries
    entry = entries.get(source.path)
    if source.path and entry is None:
        raise CloudException(f"There is no {source.path!r:.200} in the volume {source.name!r}.")
    if entry is not None and entry.kind != FOLDER:
        name = source.path.rpartition("/")[2]
        inside = dest.endswith("/") or os.path.isdir(dest)  # noqa: PTH112
        path = os.path.abspath(os.path.join(dest, name) if inside else dest)  # noqa: PTH100, PTH118
        folder, name = os.path.split(path)
        tree, wanted, delete = LocalTree(folder, DigestCache()), {name: entry}, False
        wanted = {name: replace(entry, path=name)}
    else:
        root = dest if source.contents else os.path.join(dest, _name(source.path))  # noqa: PTH118
        tree = LocalTree(root, _digests(root))
        start = len(source.path) + 1 if source.path else 0
        wanted = {
            path[start:]: replace(entries[path], path=path[start:])
            for path in _below(entries, source.path)
        }
    with shown(sum(each.size for each in wanted.values())) as progress:
        tree.write(wanted, lambda parts: volumes.snapshots.fetch(parts, progress), delete=delete)


@contextmanager
def unseen(size: int) -> Iterator[Callable[[int], None]]:
    """Show nothing."""
    del size
    yield lambda _: None


def _below(entries: Mapping[str, SnapshotEntry], folder: str) -> list[str]:
    prefix = f"{folder}/" if folder else ""
    return [path for path in entries if path.startswith(prefix)]


def _name(path: str) -> str:
    return os.path.basename(path.rstrip("/"))  # noqa: PTH119


def _digests(root: str) -> DigestCache:
    return DigestCache.of(root, _directory())


def _directory() -> Path:
    return profile.path(ClientSettings.read()).parent / "digests"
