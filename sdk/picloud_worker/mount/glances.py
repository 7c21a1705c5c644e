"""What the file system remembers for a moment of what it has found.

The kernel remembers nothing, so that it looks at each part of a path whenever a program opens a
file, and at the file once more afterwards. Each of these looks would be a request.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from picloud_model.wire.bucket import OpenedObject

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.bucket import PathFound

_T = TypeVar("_T")

LISTED_S: Final = 1.0
"""How long the entries of a listing answer for a look at each of them, as `ls -l` takes."""
MOMENT_S: Final = 0.1
"""How long an open file answers for looks at its path, and a folder for those on the way to others.

Files are never opened from what was found before the look that is part of opening them.
"""
_MOST: Final = 1000


class Glance(NamedTuple):
    """What a path was: a file or a folder; `at` is on the monotonic clock."""

    at: float
    size: int = 0
    modified: float = 0.0
    is_folder: bool = False


class Glances:
    """What was found a moment ago, and is still good for a certain use; threads may share it.

    Args:
        clock: The monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._listed: dict[str, Glance] = {}
        self._recent: dict[str, Glance] = {}
        self._looked: dict[str, tuple[float, OpenedObject]] = {}
        self._changed_at = float("-inf")
        """What was requested earlier is not remembered: it may be from before a change."""

    def of(self, key: str) -> Glance | None:
        """Return what a path is, if that is known; each entry of a listing answers once."""
        now = self._clock()
        with self._lock:
            if listed := self._listed.pop(key, None):
                self._looked.pop(key, None)  # it is older than the listing
                if now - listed.at < LISTED_S:
                    return listed
            recent = self._recent.get(key)
            return recent if recent and now - recent.at < MOMENT_S else None

    def opened(self, key: str) -> OpenedObject | None:
        """Return the object that the look has found with which opening a file begins; once."""
        with self._lock:
            at, opened = self._looked.pop(key, (0.0, None))
            return opened if self._clock() - at < MOMENT_S else None

    def found(self, key: str, found: PathFound, at: float) -> Glance | None:
        """Remember what a path is; return it, None if it is nothing.

        Args:
            key: The path.
            found: What it is.
            at: When the request was sent.
        """
        file = found.object
        if not found.folder and file is None:
            return None
        glance = Glance(at, is_folder=True)
        if not found.folder and file is not None:
            glance = Glance(at, file.size, file.modified_at)
        with self._lock:
            if at > self._changed_at and found.folder:
                self._keep(self._recent, key, glance)
            elif at > self._changed_at and file is not None:
                looked = self._looked.get(key)
                if looked is None or looked[0] < at:
                    self._keep(self._looked, key, (at, OpenedObject(file, found.url)))
        return glance

    def open(self, opened: OpenedObject, at: float) -> None:
        """Remember a file that was opened for reading by a request that was sent at that time."""
        file = opened.object
        with self._lock:
            if at > self._changed_at:
                glance = Glance(at, file.size, file.modified_at)
                self._keep(self._recent, file.key, glance)

    def listed(self, entries: dict[str, Glance], at: float) -> None:
        """Remember the latest listing, which began at that time."""
        with self._lock:
            if at > self._changed_at:
                self._listed = entries

    def stored(self) -> None:
        """Forget the files: one was stored here. What was a folder is one still."""
        with self._lock:
            folders = {key: glance for key, glance in self._recent.items() if glance.is_folder}
            self._forget(folders)

    def removed(self, key: str = "") -> None:
        """Forget everything: something was removed here.

        The folders that it was in may have existed by this alone. They exist for a second more, as
        `rm -r` removes what is in a folder and then the folder.
        """
        folder = Glance(self._clock() + LISTED_S - MOMENT_S, is_folder=True)
        parts = key.split("/")
        with self._lock:
            self._forget({"/".join(parts[:end]): folder for end in range(1, len(parts))})

    def _forget(self, kept: dict[str, Glance]) -> None:
        self._changed_at = self._clock()
        self._recent = kept
        self._listed = {}
        self._looked = {}

    @staticmethod
    def _keep(entries: dict[str, _T], key: str, value: _T) -> None:
        if len(entries) >= _MOST:
            entries.clear()
        entries[key] = value
