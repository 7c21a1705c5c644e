"""`cloud.volume`: directories that are kept on the server.

    cloud.volume.create("data", "/data")
    cloud.volume.sync("sets/", "data:")
    cloud.volume.sync("data:", "copy/")

A path in a volume is written `volume:path`.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
import os
import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from picloud_model.errors import missing_name
from picloud_model.wire.snapshot import FILE, FOLDER, LINK, SnapshotEntry

from cloud._arguments.volume_path import parsed, volume_name, volume_path
from cloud._client.current import client
from cloud._client.current_job import CurrentJob
from cloud._config.border import of_users
from cloud._config.configuration import config
from cloud._config.settings import ClientSettings
from cloud._http.transport import Transport
from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloud._arguments.volume_path import VolumePath
    from cloud._resources.job_volume import JobVolumes
    from cloud._resources.volume import Changes, VolumeClient

__all__ = ["commit", "create", "delete", "get_list", "ls", "mkdir", "path", "rm", "sync"]

_KINDS: Final = {FILE: "file", FOLDER: "directory", LINK: "link"}
_NEW_MODE: Final = 0o755


@of_users
def create(name: str, mount_path: str, desc: str | None = None) -> None:
    """Create an empty volume; if it exists with the same values, nothing changes.

    Args:
        name: Up to 64 letters, digits, hyphens and underscores.
        mount_path: Where jobs find it: an absolute path, such as `/data`.
        desc: A description for yourself.

    Raises:
        CloudException: When the name is taken, or a volume at the path would hide what programs
            need.

    >>> cloud.volume.create("reports", "/reports", "what my jobs write")
    """
    _client().create(volume_name(name), mount_path, desc or "")


@of_users
def get_list(
    name: str | builtins.list[str] | None = None, desc: bool = False
) -> builtins.list[dict[str, Any]]:
    """Return your volumes by name, with their sizes.

    Args:
        name: The names of the volumes to list; all by default.
        desc: Whether to add the descriptions.

    Returns:
        For each volume a dict with its `name`, `mount_path`, when it was `created`, the number of
        its `entries` (files, directories and links) and the bytes of its files as `size`.

    Raises:
        CloudException: When there is no volume of one of the names.

    >>> cloud.volume.create("sizes", "/sizes")
    >>> [each["size"] for each in cloud.volume.get_list("sizes")]
    [0]
    """
    volumes = {each.name: each for each in _client().list()}
    names = [*volumes] if name is None else [name] if isinstance(name, str) else [*name]
    for each in names:
        if each not in volumes:
            raise CloudException(missing_name("volume", str(each), volumes))
    return [
        {
            "name": each,
            "mount_path": volumes[each].mount_path,
            "created": datetime.fromtimestamp(volumes[each].created_at).astimezone(),
            "entries": volumes[each].entries,
            "size": volumes[each].size,
            **({"desc": volumes[each].desc} if desc else {}),
        }
        for each in names
    ]


@of_users
def sync(
    source: Any,
    dest: Any,
    delete: bool = False,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Make a directory of a volume equal to one of this machine, or the other way round.

    As with rsync, `folder/` stands for what is in the folder, and `folder` for the folder itself.
    Only parts of files that differ are sent. Modes, times and symbolic links are kept.

    Args:
        source: A path of this machine, or one in a volume, written `volume:path`.
        dest: The other kind of path.
        delete: Whether to remove from `dest` what is not in `source`.
        progress: Called with the number of bytes of each piece that has been transferred.

    Raises:
        CloudException: When there is no such file or volume, a file changes while it is read, or
            the account may not store so much.

    >>> from pathlib import Path
    >>> Path("sets").mkdir()
    >>> size = Path("sets/scores.txt").write_text("alice 3")
    >>> cloud.volume.create("games", "/games")
    >>> cloud.volume.sync("sets/", "games:june")
    >>> cloud.volume.sync("games:june/", "copy")
    >>> Path("copy/scores.txt").read_text()
    'alice 3'
    """

    @contextmanager
    def shown(size: int) -> Iterator[Callable[[int], None]]:
        del size
        yield progress or (lambda _: None)

    synchronize(source, dest, shown, delete=delete)


def synchronize(source: Any, dest: Any, shown: Any, *, delete: bool) -> None:
    """Do what `sync` does, and show how far it is."""
    from cloud._client.volume_sync import sync_from_volume, sync_to_volume  # noqa: PLC0415

    from_volume, to_volume = parsed(source), parsed(dest)
    if (from_volume is None) == (to_volume is None):
        raise CloudValueError(
            "Name one path of this machine and one in a volume, like `sets/` and `data:sets`."
        )
    if to_volume is not None:
        sync_to_volume(_client(), os.fspath(source), to_volume, shown, delete=delete)
    elif from_volume is not None:
        sync_from_volume(_client(), from_volume, os.fspath(dest), shown, delete=delete)


@of_users
def mkdir(volume_path: str, parents: bool = False) -> None:
    """Make a directory in a volume.

    Args:
        volume_path: Its path, `volume:path`.
        parents: Whether to make missing directories above it; then it may exist already.

    Raises:
        CloudException: When it exists, or the directory that it would be in does not.

    >>> cloud.volume.create("years", "/years")
    >>> cloud.volume.mkdir("years:2014/june", parents=True)
    """
    path = _file_path(volume_path)
    volumes = _client()

    def plan(entries: Mapping[str, SnapshotEntry]) -> Changes:
        existing = entries.get(path.path)
        if existing is not None and not (parents and existing.kind == FOLDER):
            raise CloudException(f"{path} exists already.")
        above = path.path.rpartition("/")[0]
        if above and not parents and (above not in entries or entries[above].kind != FOLDER):
            raise CloudException(
                f"{path.name}:{above} is not a directory: `parents=True`, or `-p` on the command "
                "line, makes those that are missing."
            )
        if existing is not None:
            return {}
        return {
            path.path: SnapshotEntry(
                path=path.path, kind=FOLDER, mode=_NEW_MODE, modified_ns=time.time_ns()
            )
        }

    volumes.update(volumes.load(path.name), plan)


@of_users
def ls(volume_path: str, extended_info: bool = False) -> builtins.list[Any]:
    """Return the names of what is in a directory of a volume, in order.

    Args:
        volume_path: The path of a directory, or of a file, which is then listed alone.
        extended_info: Whether to return a dict for each, with its `name`, `type` ("file",
            "directory" or "link"), `size` in bytes, `mode`, time of its last `modified`, and the
            `target` of a link.

    Raises:
        CloudException: When there is nothing at the path.

    >>> cloud.volume.create("months", "/months")
    >>> cloud.volume.mkdir("months:june")
    >>> cloud.volume.ls("months:")
    ['june']
    """
    path = _path(volume_path)
    entries = _client().load(path.name).entries
    top = entries.get(path.path)
    if path.path and top is None:
        raise CloudException(_missing(path))
    prefix = f"{path.path}/" if path.path else ""
    if top is not None and top.kind != FOLDER:
        found = [top]
    else:
        found = [
            entries[each]
            for each in sorted(entries)
            if each.startswith(prefix) and "/" not in each[len(prefix) :]
        ]
    if not extended_info:
        return [_name(entry) for entry in found]
    return [
        {
            "name": _name(entry),
            "type": _KINDS[entry.kind],
            "size": entry.size,
            "mode": entry.mode,
            "modified": datetime.fromtimestamp(entry.modified_ns / 1e9).astimezone(),
            "target": entry.target or None,
        }
        for entry in found
    ]


@of_users
def rm(volume_path: str, recursive: bool = False) -> None:
    """Remove a file of a volume, or with `recursive` a directory with all that is in it.

    Args:
        volume_path: Its path, `volume:path`.
        recursive: Whether to remove a directory.

    Raises:
        CloudException: When there is nothing at the path, or it is a directory.

    >>> cloud.volume.create("days", "/days")
    >>> cloud.volume.mkdir("days:monday")
    >>> cloud.volume.rm("days:monday", recursive=True)
    """
    path = _file_path(volume_path)
    volumes = _client()

    def plan(entries: Mapping[str, SnapshotEntry]) -> Changes:
        entry = entries.get(path.path)
        if entry is None:
            raise CloudException(_missing(path))
        if entry.kind == FOLDER and not recursive:
            raise CloudException(
                f"{path} is a directory: `recursive=True`, or `-r` on the command line, removes it."
            )
        below = f"{path.path}/"
        return dict.fromkeys(
            each for each in entries if each == path.path or each.startswith(below)
        )

    volumes.update(volumes.load(path.name), plan)


@of_users
def delete(name: str) -> None:
    """Delete a volume with all its files.

    Args:
        name: The name of the volume.

    Raises:
        CloudException: When there is no such volume, or jobs that mount it have not ended.

    >>> cloud.volume.create("unused", "/unused")
    >>> cloud.volume.delete("unused")
    """
    _client().delete(name)


@of_users
def path(name: str) -> str:
    """Return the directory where this job sees a volume.

    It is the mount path of the volume, if the slot may mount something; else another directory.

    Args:
        name: The name of a volume in the `_vol` of this job.

    Returns:
        An absolute path.

    Raises:
        CloudException: When this is not a job, or the volume is not in its `_vol`.

    >>> from pathlib import Path
    >>> cloud.volume.create("inputs", "/inputs")
    >>> def names():
    ...     return [path.name for path in Path(cloud.volume.path("inputs")).iterdir()]
    >>> cloud.result(cloud.call(names, _vol="inputs"))
    []
    """
    return _of_job().path(name)


@of_users
def commit(name: str | builtins.list[str] | None = None) -> None:
    """Store what this job has changed in its volumes so far, as their next snapshot.

    A job does that when it ends, too, unless it is killed. Of a file that others have changed
    meanwhile, this version is kept.

    Args:
        name: The names of the volumes; all of the job by default.

    Raises:
        CloudException: When this is not a job, a volume is not in its `_vol`, a file changes while
            it is read, or the account may not store so much.

    >>> from pathlib import Path
    >>> cloud.volume.create("steps", "/steps")
    >>> def work():
    ...     (Path(cloud.volume.path("steps")) / "first").touch()
    ...     cloud.volume.commit()
    ...     return cloud.volume.ls("steps:")
    >>> cloud.result(cloud.call(work, _vol="steps"))
    ['first']
    """
    volumes = _of_job()
    names = volumes.names() if name is None else [name] if isinstance(name, str) else [*name]
    for each in names:
        volumes.commit(each)


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__


def _of_job() -> JobVolumes:
    """Return the volumes of this job, also if other calls of the process use another account."""
    folder, job = ClientSettings.read().volumes, CurrentJob.here()
    if folder is None or job is None:
        raise CloudException("This is not a job with volumes: name some in its _vol.")
    from cloud._resources.job_volume import JobVolumes  # noqa: PLC0415 - few processes need it
    from cloud._resources.volume import VolumeClient  # noqa: PLC0415

    return JobVolumes(folder, VolumeClient(Transport(job.address(), config)))


def _client() -> VolumeClient:
    from cloud._resources.volume import VolumeClient  # noqa: PLC0415 - `picloud --help` needs none

    return VolumeClient(client().transport)


def _path(text: str) -> VolumePath:
    return volume_path(text)


def _file_path(text: str) -> VolumePath:
    path = volume_path(text)
    if not path.path:
        raise CloudValueError(f"{text!r:.80} is a whole volume: name a path in it, like data:sets.")
    return path


def _name(entry: SnapshotEntry) -> str:
    return entry.path.rpartition("/")[2]


def _missing(path: VolumePath) -> str:
    return f"There is no {path.path!r:.200} in the volume {path.name!r}."
