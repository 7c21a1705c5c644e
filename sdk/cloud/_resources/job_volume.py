"""The volumes of a job: a directory for each, whose changes are stored as snapshots."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire.snapshot import FILE, SnapshotEntry

from cloud._config.file_lock import locked
from cloud._resources.digest_cache import DigestCache
from cloud._resources.local_tree import LocalTree
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloud._resources.part_cache import PartCache
    from cloud._resources.volume import Changes, VolumeClient

_RECORDS: Final = ".records"
_DIGESTS: Final = ".digests"
_WORK: Final = ".work"
_LOOK_S: Final = 0.02


class MountedVolume(msgspec.Struct, frozen=True, array_like=True):
    """Where a job sees a volume, and the entries there that are stored."""

    path: str
    stored: dict[str, SnapshotEntry]


class JobVolumes:
    """The volumes of one job, in one directory of its slot.

    What is known of each is in a file there, so that every process of the job can commit.

    Args:
        folder: The directory.
        client: Reads and changes volumes.
    """

    def __init__(self, folder: str, client: VolumeClient) -> None:
        self._folder = Path(folder)
        self._client = client

    @property
    def work(self) -> Path:
        """A directory for temporary use."""
        return self._folder / _WORK

    def fetch(self, names: Sequence[str], cache: PartCache) -> dict[str, str]:
        """Write the latest snapshot of each volume; return the mount paths by name.

        Raises:
            CloudException: When there is no such volume, or its files cannot be had or written.
        """
        for folder in (self._folder / _RECORDS, self._folder / _DIGESTS, self.work):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        paths = {}
        for name in dict.fromkeys(names):
            loaded = self._client.load(name)
            tree = LocalTree(self.directory(name), self._digests(name))
            tree.write(
                loaded.entries,
                lambda parts: cache.fetch(
                    parts, lambda wanted: self._client.snapshots.fetch(wanted, _ignore)
                ),
                delete=False,
            )
            tree.remember(loaded.entries)
            paths[name] = loaded.volume.mount_path
        return paths

    def directory(self, name: str) -> str:
        """Return the directory that holds the files of a volume."""
        return str(self._folder / name)

    def begin(self, name: str, path: str) -> None:
        """Record that the job sees a volume at a path from now on.

        Raises:
            CloudException: When it cannot be read there.
        """
        stored = LocalTree(path, self._digests(name)).scan()
        self._write(name, MountedVolume(path, stored))

    def names(self) -> list[str]:
        """Return the names of the volumes, in order."""
        try:
            return sorted(each.name for each in (self._folder / _RECORDS).iterdir())
        except OSError:
            return []

    def path(self, name: str) -> str:
        """Return where the job sees a volume.

        Raises:
            CloudException: When it is not a volume of the job.
        """
        return self._read(name).path

    def commit(self, name: str) -> None:
        """Make a snapshot of what the job changed in a volume since the last one.

        Raises:
            CloudException: When it is not a volume of the job, a file changes while it is read,
                or the account may not store so much.
        """
        with self._locked(name):
            mounted = self._read(name)
            tree = LocalTree(mounted.path, self._digests(name))
            found, stored = tree.scan(), mounted.stored
            changes: Changes = {
                path: entry for path, entry in found.items() if stored.get(path) != entry
            }
            changes.update((path, None) for path in stored if path not in found)
            if not changes:
                return
            loaded = self._client.load(name)
            self._client.check_room(loaded, changes)
            files = [entry for entry in changes.values() if entry is not None]
            files = [entry for entry in files if entry.kind == FILE]
            self._client.snapshots.send(files, tree, _ignore)
            self._client.change(loaded, changes)
            self._write(name, MountedVolume(mounted.path, found))

    def _digests(self, name: str) -> DigestCache:
        return DigestCache(self._folder / _DIGESTS / name)

    def _record(self, name: str) -> Path:
        return self._folder / _RECORDS / name

    def _read(self, name: str) -> MountedVolume:
        if name not in self.names():
            raise CloudException(f"{name!r:.80} is not a volume of this job: name it in its _vol.")
        try:
            return msgspec.msgpack.decode(self._record(name).read_bytes(), type=MountedVolume)
        except (OSError, msgspec.MsgspecError) as error:
            raise CloudException(f"What is known of the volume {name!r} is damaged.") from error

    def _write(self, name: str, mounted: MountedVolume) -> None:
        partial = self.work / f"{name}.{os.getpid()}"
        partial.write_bytes(msgspec.msgpack.encode(mounted))
        partial.replace(self._record(name))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Keep other processes of the job from committing the same volume meanwhile."""
        with (self._folder / _DIGESTS / f"{name}.lock").open("wb") as file:
            while not locked(file):
                time.sleep(_LOOK_S)
            yield


def _ignore(_: int) -> None:
    """Show no progress."""
