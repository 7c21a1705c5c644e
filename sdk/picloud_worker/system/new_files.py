"""Notices new files a few levels below a directory, without looking again and again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NEW: Final = 0x100 | 0x80  # IN_CREATE, IN_MOVED_TO
_DIRECTORY: Final = 0x01000000 | 0x02000000  # IN_ONLYDIR, IN_DONT_FOLLOW
_OVERFLOW: Final = 0x4000
_IGNORED: Final = 0x8000
_EVENT: Final = struct.Struct("iIII")
_MOST: Final = 65_536


class NewFiles:
    """The files `<directory>/<any>/<folders>`, as they appear; those that exist come first.

    Args:
        directory: Holds directories with any name.
        folders: The names from there down to the file.

    Raises:
        OSError: When the system has no inotify, or there is no such directory.
    """

    def __init__(self, directory: Path, folders: Sequence[str]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._directory = directory
        self._folders = folders
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "the system has no inotify")
        self._watched: dict[int, Path] = {}
        self._watches: dict[Path, int] = {}
        """One for each path: who may write there cannot use up those of this user."""
        self._found = list(self._watch(directory))

    def fileno(self) -> int:
        """Readable when there may be a new file."""
        return int(self._descriptor)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)

    def read(self) -> Iterator[Path]:
        """Yield files that have appeared; does not wait, nor go on while there are more and more.

        It is readable again if there are others.
        """
        found, self._found = self._found, []
        yield from found
        with contextlib.suppress(BlockingIOError):
            yield from self._handle(os.read(self._descriptor, _MOST))

    def _handle(self, data: bytes) -> Iterator[Path]:
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
            if mask & _OVERFLOW:
                yield from self._watch(self._directory)
            elif mask & _IGNORED:
                path = self._watched.pop(watch, None)
                if path is not None and self._watches.get(path) == watch:
                    del self._watches[path]
            elif watch in self._watched:
                yield from self._look(self._watched[watch] / name)

    def _look(self, path: Path) -> Iterator[Path]:
        """Watch a directory on the way to such a file; yield the file."""
        depth = len(path.relative_to(self._directory).parts) - 1
        if depth and path.name != self._folders[depth - 1]:
            return
        if depth == len(self._folders):
            yield path
        else:
            with contextlib.suppress(OSError):
                yield from self._watch(path)

    def _watch(self, path: Path) -> Iterator[Path]:
        watch = self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), _NEW | _DIRECTORY)
        if watch < 0:
            raise OSError(ctypes.get_errno(), f"{path} cannot be watched")
        earlier = self._watches.get(path, watch)
        if earlier != watch:  # of a directory that was here before
            self._libc.inotify_rm_watch(self._descriptor, earlier)
        self._watches[path] = watch
        self._watched[watch] = path
        # What was made before the watch.
        for name in sorted(os.listdir(path)):  # noqa: PTH208
            yield from self._look(path / name)
