"""Volumes: directories that an account keeps for its jobs."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import Answer
from picloud_model.wire import volume as wire
from picloud_model.wire.snapshot import FOLDER, SnapshotEntry

from cloud._resources.snapshot import SnapshotStore
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloud._http.transport import Transport
    from cloud._resources.snapshot import Entries

_CHANGED: Final = "volume.changed"
_TRIES: Final = 100
_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0
_COMMIT_S: Final = 20.0
_CHECKED_A_SECOND: Final = 200
"""How many entries the server certainly checks in a second when it commits a snapshot."""
_FOLDER_MODE: Final = 0o755

Changes = dict[str, "SnapshotEntry | None"]
"""New entries by path, None for what is removed."""


class LoadedVolume(msgspec.Struct, frozen=True):
    """A volume, and the entries of its latest snapshot."""

    volume: wire.Volume
    entries: dict[str, SnapshotEntry]


class VolumeClient:
    """Creates, lists, reads, changes and deletes volumes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.snapshots = SnapshotStore(transport)

    def create(self, name: str, mount_path: str, desc: str) -> wire.Volume:
        """Create a volume."""
        body = wire.CreateVolumeRequest(name=name, mount_path=mount_path, desc=desc)
        return self._transport.post("/v1/volumes", body, wire.Volume)

    def get(self, name: str) -> wire.Volume:
        """Return what is known of a volume."""
        return self._transport.post("/v1/volumes/get", wire.VolumeRequest(name=name), wire.Volume)

    def list(self) -> list[wire.Volume]:
        """Return all volumes, by name."""
        body = wire.ListVolumesRequest()
        return self._transport.post("/v1/volumes/list", body, wire.VolumesListed).volumes

    def delete(self, name: str) -> None:
        """Delete a volume with all its files."""
        self._transport.post("/v1/volumes/delete", wire.DeleteVolumeRequest(name=name), Answer)

    def load(self, name: str) -> LoadedVolume:
        """Return a volume and its entries."""
        volume = self.get(name)
        return LoadedVolume(volume, self.snapshots.load(volume.snapshot))

    def check_room(self, loaded: LoadedVolume, changes: Changes) -> None:
        """Check that a volume with these changes fits into what the account may store.

        Raises:
            CloudException: When it does not.
        """
        growth = sum(
            (entry.size if entry else 0) - (old.size if old else 0)
            for path, entry in changes.items()
            for old in (loaded.entries.get(path),)
        )
        if growth > 0:
            body = wire.GrowVolumeRequest(name=loaded.volume.name, size=growth)
            self._transport.post("/v1/volumes/grow", body, wire.Volume)

    def change(self, loaded: LoadedVolume, changes: Changes) -> LoadedVolume:
        """Make a snapshot with changes the latest of a volume.

        If another one was made since the volume was loaded, the changes are applied to that: of two
        that change one file, the last one wins.
        """
        return self.update(loaded, lambda _: changes)

    def update(
        self, loaded: LoadedVolume, plan: Callable[[Mapping[str, SnapshotEntry]], Changes]
    ) -> LoadedVolume:
        """Do the same with changes that depend on the latest entries."""
        name = loaded.volume.name
        for attempt in range(_TRIES):
            changed = applied(loaded.entries, plan(loaded.entries))
            if changed == loaded.entries:
                return loaded
            digest = self.snapshots.save(changed)
            body = wire.CommitVolumeRequest(name=name, base=loaded.volume.number, snapshot=digest)
            try:
                hold_s = _COMMIT_S + len(changed) / _CHECKED_A_SECOND
                volume = self._transport.poll("/v1/volumes/commit", body, wire.Volume, hold_s)
                return LoadedVolume(volume, changed)
            except CloudException as error:
                if error.code != _CHANGED:
                    raise
            time.sleep(random.random() * min(_LONGEST_PAUSE_S, _PAUSE_S * 2**attempt))  # noqa: S311
            loaded = self.load(name)
        raise CloudException(f"The volume {name!r} is changed by too many others; try again later.")


def applied(entries: Mapping[str, SnapshotEntry], changes: Changes) -> Entries:
    """Return entries with changes; directories of what is left or new are kept or made.

    >>> sorted(applied({}, {"a/b": SnapshotEntry(path="a/b", kind="d")}))
    ['a', 'a/b']
    >>> old = {"a": SnapshotEntry(path="a", kind="d"), "a/b": SnapshotEntry(path="a/b", kind="f")}
    >>> sorted(applied(old, {"a": SnapshotEntry(path="a", kind="f")}))
    ['a']
    """
    result = dict(entries)
    emptied = set()
    for path, entry in changes.items():
        old = result.get(path)
        if entry is None:
            result.pop(path, None)
        else:
            result[path] = entry
            if old is not None and old.kind == FOLDER and entry.kind != FOLDER:
                emptied.add(path)
    for folder in emptied:
        below = f"{folder}/"
        for path in [each for each in result if each.startswith(below)]:
            if changes.get(path) is None:
                del result[path]
    for path, entry in list(result.items()):
        _make_parents(result, path, entry.modified_ns)
    return result


def _make_parents(entries: Entries, path: str, modified_ns: int) -> None:
    parent = path.rpartition("/")[0]
    while parent and (parent not in entries or entries[parent].kind != FOLDER):
        entries[parent] = SnapshotEntry(
            path=parent, kind=FOLDER, mode=_FOLDER_MODE, modified_ns=modified_ns
        )
        parent = parent.rpartition("/")[0]
