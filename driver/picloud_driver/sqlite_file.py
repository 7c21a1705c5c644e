"""Files of SQLite: made private, and their errors in one sentence that says what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

from picloud_driver import disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN_TIMEOUT_S: Final = 1.0
"""Time for a process that is just ending to close the file."""
SETTINGS: Final = (
    # The kernel holds this lock as long as the process lives. It keeps a second server away;
    # otherwise what processes tell each other would have to be in the file.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    # Fewer and larger than the default of 1,000 pages: pages written often are copied back once.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -16000",
)

_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: "is in use by another process; stop that one or choose another directory",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; its directory must exist and belong to this user",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a copy of it or move it away to begin anew",
    sqlite3.SQLITE_FULL: "cannot grow, its disk is full; free some space",
    sqlite3.SQLITE_IOERR: "cannot be read or written, its disk reports an error",
    sqlite3.SQLITE_NOTADB: "is not a state file; move it away or choose another directory",
    sqlite3.SQLITE_PERM: "may not be opened by this user",
    sqlite3.SQLITE_READONLY: "may not be written by this user",
}


@contextlib.contextmanager
def explained(kind: str, path: Path) -> Iterator[None]:
    """Turn errors of SQLite into one sentence that names the file and says what to do.

    Raises:
        Unavailable: When SQLite raises any error.
    """
    try:
        yield
    except sqlite3.Error as error:
        # Errors of the Python module itself, as after `close`, have no SQLite error code.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        sentence = _SENTENCES.get(code, f"cannot answer: {error}")
        raise Unavailable(f"the {kind} file {path} {sentence}") from error


def make_private(path: Path) -> None:
    """Make the file private before SQLite makes it; its journal gets the same mode."""
    with disk.faults(path):
        disk.private_directory(path.parent)
        try:
            disk.write_new(path, b"", sync=False)
        except FileExistsError:
            # Not opened: closing it would end the lock that another handle of this process holds.
            path.chmod(disk.PRIVATE_FILE)


def prepare(
    database: sqlite3.Connection, path: Path, *, mark: int, layout: int, schema: tuple[str, ...]
) -> None:
    """Make the tables of a file if it is new.

    Args:
        database: The open file; its settings were chosen.
        path: Its path, for messages.
        mark: Marks the file as PiCloud's in its header.
        layout: The version of its tables.
        schema: The statements that make them.

    Raises:
        Unavailable: When the file was written by something else.
    """
    execute = database.execute
    execute("BEGIN IMMEDIATE")
    (found_mark,) = execute("PRAGMA application_id").fetchone()
    (found_layout,) = execute("PRAGMA user_version").fetchone()
    (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables:
        marks = (f"PRAGMA application_id = {mark}", f"PRAGMA user_version = {layout}")
        for statement in (*schema, *marks):
            execute(statement)
    elif (found_mark, found_layout) != (mark, layout):
        raise Unavailable(f"{path} was not written by this version; choose another file")
    execute("COMMIT")
