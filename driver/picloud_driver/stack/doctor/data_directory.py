"""The data directory of a stack: who may use it, how much space it has, whether files are whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable
from picloud_model.size import size

from picloud_driver import disk, sqlite_file
from picloud_driver.stack.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASES: Final = {"state": "state.sqlite", "queues": "queues.sqlite"}
"""The files of SQLite by the port that uses them."""
LEAST_FREE: Final = 1024**3
"""With less free space, in bytes, a map with large results may fill the disk."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_PRIVATE: Final = ("up.json", "secrets/*", "stack/*.json", "stack/environment", "stack/tls/*")
"""Files with keys."""


def examine(data: Path, *, running: bool) -> Iterator[Finding]:
    """Examine a data directory; if it cannot be used, no other check follows.

    Args:
        data: An existing directory.
        running: Whether a server uses it; its databases are not read then.
    """
    try:
        access = _access(data)
        yield access
        if access.ok:
            yield _keys(data)
            yield _space(data)
    except OSError as fault:
        yield Finding("data", disk.refusal(fault, data).message, ok=False)
        return
    if access.ok and not running:
        found = ((name, data / file) for name, file in DATABASES.items())
        yield from (_database(name, file) for name, file in found if file.exists())


def _access(data: Path) -> Finding:
    found = data.stat()
    if found.st_uid != os.geteuid():
        return _unusable(f"{data} belongs to another user: run picloud as its owner")
    if not os.access(data, os.R_OK | os.W_OK | os.X_OK):
        return _unusable(f"{data} cannot be written: mount it for writing, or chmod 700 {data}")
    if found.st_mode & _OTHERS_WRITE:
        return _unusable(f"other users may change {data}: run chmod 700 {data}")
    return Finding("data", "its files can be used")


def _keys(data: Path) -> Finding:
    keys = (path for pattern in _PRIVATE for path in sorted(data.glob(pattern)))
    exposed = [path for path in keys if path.stat().st_mode & _OTHERS]
    if exposed:
        problem = f"other users may read {exposed[0]}: run chmod 600 {exposed[0]}"
        return Finding("keys", problem, ok=False)
    return Finding("keys", "no other user may read them")


def _unusable(problem: str) -> Finding:
    return Finding("data", problem, ok=False)


def _space(data: Path) -> Finding:
    found = os.statvfs(data)
    free = found.f_bavail * found.f_frsize
    if free < LEAST_FREE:
        return Finding("disk", f"only {size(free)} free for {data}: free some space.", ok=False)
    # Some file systems, such as btrfs, have no fixed number of files.
    if found.f_files and not found.f_favail:
        return Finding("disk", f"{data} can hold no more files: remove some.", ok=False)
    return Finding("disk", f"{size(free)} free")


def _database(name: str, file: Path) -> Finding:
    """Read a whole database; no server may be using it."""
    kind = name.removesuffix("s")
    try:
        with (
            sqlite_file.explained(kind, file),
            contextlib.closing(
                sqlite3.connect(file, timeout=sqlite_file.OPEN_TIMEOUT_S)
            ) as database,
        ):
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except Unavailable as fault:
        return Finding(name, f"{fault.message}.", ok=False)
    if verdict != "ok":
        advice = "restore a copy of it or move it away to begin anew"
        return Finding(name, f"the {kind} file {file} is damaged: {advice}.", ok=False)
    return Finding(name, f"{file.name}, {size(file.stat().st_size)}, is whole")
