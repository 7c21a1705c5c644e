"""The installed packages: notices that one was installed, upgraded or removed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_FOLDERS: Final = ("site-packages", "dist-packages")


class InstalledPackages:
    """What is installed where this interpreter finds packages, as of its start.

    pip adds, renames and removes entries of these directories whatever it does, and that changes
    their times. Looking at them takes about a microsecond each.

    Args:
        path: The directories in which modules are found; `sys.path` by default.

    >>> InstalledPackages().have_changed()
    False
    """

    def __init__(self, path: Sequence[str] | None = None) -> None:
        search = sys.path if path is None else path
        self._folders = [each for each in search if os.path.basename(each) in _FOLDERS]  # noqa: PTH119
        self._times = self._read()

    def have_changed(self) -> bool:
        """Whether packages have been installed, upgraded or removed since the start."""
        return self._read() != self._times

    def _read(self) -> list[int]:
        return [_changed_at(folder) for folder in self._folders]


def _changed_at(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - five times as fast as a Path
    except OSError:
        return 0
