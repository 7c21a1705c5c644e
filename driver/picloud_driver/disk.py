"""Files for adapters: private directories, atomic replacement, and errors in a sentence."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from picloud_model.errors import PiCloudError, TooLarge, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRIVATE_FILE: Final = 0o600
PRIVATE_DIRECTORY: Final = 0o700
_MB: Final = 1_000_000
STALE_S: Final = 86_400.0
"""Age in seconds above which a temporary file must be a leftover of a crash."""

_ADVICE: Final = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the disk quota is used up; free some space and try again",
    errno.EFBIG: "a file may not grow so large; raise the server's file size limit",
    errno.EACCES: "the server may not use it; make its user the owner",
    errno.EPERM: "the system forbids it; use a directory of the server's user on a disk "
    "with hard links",
    errno.EROFS: "the disk is mounted read-only; mount it for writing",
    errno.EMFILE: "too many files are open; raise the server's limit of open files",
    errno.ENFILE: "too many files are open on this machine; close some programs",
    errno.EAGAIN: "too many processes run; raise the limit of the server's user",
    errno.ENOMEM: "the machine is out of memory; close some programs",
    errno.ENOENT: "it is gone; is the disk mounted?",
}


def refusal(fault: OSError, where: str | Path) -> Unavailable:
    """Return the error for an `OSError`, in a sentence that says what to do.

    >>> refusal(OSError(errno.ENOSPC, "No space left on device"), "/data").message
    '/data: the disk is full; free some space and try again.'
    """
    unknown = f"{fault.strerror or fault}; is the disk mounted and healthy?"
    advice = _ADVICE.get(fault.errno or 0, unknown)
    return Unavailable(f"{where}: {advice}" if advice.endswith("?") else f"{where}: {advice}.")


@contextlib.contextmanager
def faults(where: str | Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into `Unavailable`."""
    try:
        yield
    except OSError as fault:
        raise refusal(fault, where) from fault


def refusal_of_bytes(fault: OSError, where: str | Path, size: int) -> PiCloudError:
    """Return the error for bytes that could not be written: refused for good if they never fit.

    What needs at least half of the file system does not fit, whatever else is removed from it.
    """
    if fault.errno == errno.ENOSPC:
        with contextlib.suppress(OSError):
            total = shutil.disk_usage(where).total
            if size >= total // 2:
                return TooLarge(
                    f"{size / _MB:,.0f} MB do not fit on the disk of the server's data, which has "
                    f"{total / _MB:,.0f} MB."
                )
    return refusal(fault, where)


def private_directory(path: Path) -> None:
    """Make a directory and its missing parents, accessible to this user only."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(PRIVATE_DIRECTORY, exist_ok=True)


def write_new(path: str | Path, data: bytes, *, sync: bool) -> None:
    """Write a new private file; with `sync` it is on disk afterwards."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(opened, rest) :]
        if sync:
            os.fsync(opened)
    finally:
        os.close(opened)


def replace(path: Path, data: bytes, *, sync: bool) -> None:
    """Replace a private file atomically: readers and crashes find the old bytes or the new."""
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        write_new(temporary, data, sync=sync)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def sync_directory(path: str | Path) -> None:
    """Write the entries of a directory to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def stale(directory: Path) -> Iterator[Path]:
    """Yield the entries of a directory that have not changed for a day."""
    before = time.time() - STALE_S
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    yield directory / entry.name
