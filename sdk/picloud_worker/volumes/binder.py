"""Mounts directories of a container at other paths in it, from outside.

The container gets no right for that. A job chooses the paths, so that a mount must hide nothing: a
mount point is made, or is an empty directory; and what is on the way to it holds nothing else,
except in the directories where jobs may write anyway. No link is followed.

The supervisor that asks is not trusted either: what is mounted is a directory of a user in memory,
where volumes of jobs are. Another mount of `/proc`, say, would lack what docker hides there.
"""

from __future__ import annotations

import contextlib
import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from picloud_model.wire import MAX_VOLUMES

from picloud_worker.system import namespace

if TYPE_CHECKING:
    from collections.abc import Collection

    from picloud_worker.volumes.request import VolumesRequest

_SHARED: Final = frozenset(("home", "tmp"))
"""Directories in the root directory in which mount points are made among other files."""
_KEPT: Final = frozenset(("media", "mnt", "opt", "srv"))
"""Directories there that are not removed, even if they are empty."""
_MOST: Final = 10 * MAX_VOLUMES
"""Volumes that are mounted in a container, whose jobs run at the same time."""
_LAST_UID: Final = 2**31
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Binder:
    """The mounted volumes of one container.

    Args:
        container: A descriptor of its mount namespace.
    """

    def __init__(self, container: int) -> None:
        self._container = container
        self._paths: list[str] = []

    def handle(self, request: VolumesRequest) -> None:
        """Do what a supervisor requests.

        Raises:
            OSError: When a directory cannot be mounted; then none of the request is.
        """
        self._unmount(request.unmount)
        if len(request.mount) > MAX_VOLUMES or len(self._paths) + len(request.mount) > _MOST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        mounted: list[str] = []
        try:
            for path, directory in request.mount.items():
                self._mount(path, directory, request.uid)
                mounted.append(path)
        except OSError:
            self._unmount(mounted)
            raise

    def close(self) -> None:
        """Unmount all of them."""
        self._unmount(list(self._paths))
        os.close(self._container)

    def _mount(self, path: str, directory: str, uid: int) -> None:
        if not {"", ".", ".."}.isdisjoint(path.split("/")[1:]) or not path.startswith("/"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if any(_overlap(path, other) for other in self._paths):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        others = list(self._paths)
        try:
            namespace.call_in(self._container, partial(_make, path, others))
            namespace.call_in(self._container, partial(_bind, directory, path, others, uid))
        except OSError:
            self._clean(path)
            raise
        self._paths.append(path)

    def _unmount(self, paths: Collection[str]) -> None:
        for path in [path for path in self._paths if path in paths]:
            self._paths.remove(path)
            with contextlib.suppress(OSError):  # the container may have ended
                namespace.call_in(self._container, partial(namespace.unmount, path))
            self._clean(path)

    def _clean(self, path: str) -> None:
        """Remove the mount point with the directories above it, up to one that is not empty."""
        with contextlib.suppress(OSError):
            namespace.call_in(self._container, partial(_remove, path))


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _make(path: str, others: Collection[str]) -> None:
    """Make a mount point in the file system below, which the container cannot write to."""
    namespace.make_root_writable()
    os.close(_mount_point(path, others, makes=True))


def _bind(directory: str, path: str, others: Collection[str], uid: int) -> None:
    source = _opened(directory)
    is_of_user = 0 < uid < _LAST_UID and os.fstat(source).st_uid == uid
    if not is_of_user or not namespace.is_in_memory(source):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    namespace.bind_opened(source, _mount_point(path, others))


def _remove(path: str) -> None:
    """Remove a mount point, with the empty directories that were made on the way to it."""
    first, *rest = path.split("/")[1:]
    if first in _SHARED:
        return
    namespace.make_root_writable()
    while rest or first not in _KEPT:
        os.rmdir("/".join(("", first, *rest)))  # noqa: PTH106 - the last error ends it
        if not rest:
            return
        rest.pop()


def _mount_point(path: str, others: Collection[str], *, makes: bool = False) -> int:
    """Open a mount point, if nothing would be hidden by a mount there; without following links.

    Raises:
        OSError: When it is missing, or something would be hidden.
    """
    parts = path.split("/")[1:]
    if parts[0] in _SHARED and len(parts) == 1:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    folder = os.open("/", _FOLDER)
    for at, part in enumerate(parts):
        if makes:
            _make_folder(part, folder)
        above, folder = folder, os.open(part, _FOLDER, dir_fd=folder)
        os.close(above)
        below = parts[: at + 1]
        allowed = {
            other[at + 1]
            for other in (each.split("/")[1:] for each in (path, *others))
            if other[: at + 1] == below and len(other) > at + 1
        }
        is_shared = parts[0] in _SHARED and below != parts
        if not is_shared and not allowed.issuperset(os.listdir(folder)):  # noqa: PTH208
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
    return folder


def _make_folder(name: str, above: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=above)
    except FileExistsError:
        return


def _opened(directory: str) -> int:
    """Open a directory of a job, which could put a link in its place."""
    folder = os.open("/", _FOLDER)
    for part in directory.split("/")[1:]:
        above, folder = folder, os.open(part, _FOLDER, dir_fd=folder)
        os.close(above)
    return folder
