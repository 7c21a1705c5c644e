"""Removal of files that were kept for later and are no longer used."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def remove_old_files(directory: Path, kept_s: float) -> None:
    """Remove the files of a directory that were not written for so many seconds.

    A file that cannot be removed stays; another process may have removed it.
    """
    now = time.time()
    for path in directory.iterdir():
        with suppress(OSError):
            if now - path.stat().st_mtime > kept_s:
                path.unlink()
