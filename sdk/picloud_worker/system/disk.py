"""The disk of a slot: what does not fit on it, and what only does not fit now."""

from __future__ import annotations

import errno
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from picloud_model.errors import PiCloudError, RequestRefused, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

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
