"""The disk of a slot: what does not fit on it, and what only does not fit now."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.errors import PiCloudError, RequestRefused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MB: Final = 1_000_000


def is_full(error: OSError) -> bool:
    """Whether a write failed because there is no space left.

    >>> is_full(OSError(errno.ENOSPC, "")), is_full(OSError(errno.EACCES, ""))
    (True, False)
    """
    return error.errno in _FULL


def total_bytes(directory: Path) -> int:
    """Return the size of the file system of a directory."""
    return shutil.disk_usage(directory).total


def used_bytes(home: Path, others: Iterable[Path] = (Path("/tmp"),)) -> int | None:  # noqa: S108
    """Return how much a slot has written, if its home is a file system of its own, else None.

    So it is in containers, and takes two system calls there. A directory of a larger file system
    would have to be read file by file.

    Args:
        home: The directory in which jobs begin.
        others: Directories that count as well, where they are file systems of their own.
    """
    if not is_apart(home):
        return None
    used = 0
    for each in (home, *(other for other in others if is_apart(other))):
        system = os.statvfs(each)
        used += (system.f_blocks - system.f_bfree) * system.f_frsize
    return used


def is_apart(directory: Path) -> bool:
    """Whether a directory is a file system of its own, as the home of a slot in a container is."""
    try:
        return directory.stat().st_dev != directory.parent.stat().st_dev
    except OSError:
        return False


def no_room(directory: Path, needed_bytes: int) -> PiCloudError:
    """Return the error for something that does not fit on the disk.

    What needs at least half of the file system is too large for this slot. Otherwise something else
    has filled the disk, and the same may fit a little later.
    """
    total = total_bytes(directory)
    if needed_bytes < total // 2:
        return Unavailable("the disk of this slot is full")
    size = f"{needed_bytes / _MB:,.0f} MB or more do not fit on it, which has {total / _MB:,.0f} MB"
    return RequestRefused(f"The disk of this slot is too small: {size}.")


def write_log(text: str) -> None:
    """Write a line to the log of this slot; where its disk is full, the line is dropped."""
    with suppress(OSError):
        sys.stderr.write(f"picloud_worker: {text}\n")
        sys.stderr.flush()
