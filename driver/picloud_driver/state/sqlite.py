"""State in one SQLite file, for a stack with a single server process.

Every method runs SQLite on the event loop. A commit of a few keys takes about 20 microseconds and a
read 3; a call in a thread would cost 35 more, and its wait for the interpreter lock as much again.
The exception is a checkpoint, which takes some milliseconds every 16 MB written.
"""

from __future__ import annotations

import contextlib
import sqlite3
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import Unavailable

from picloud_driver import disk
from picloud_driver.state.changes import Changes
from picloud_driver.state.port import ANY, Conflict, Delete, Lock, Put, StateEntry, StatePort
from picloud_driver.state.size import refuse_too_large

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from picloud_driver.state.port import Operation

_MARK: Final = 0x70694364
"""Marks the file as PiCloud's in its header."""
_LAYOUT: Final = 1
_OPEN_TIMEOUT_S: Final = 1.0
"""Time for a process that is just ending to close the file."""
_NEXT: Final = "\0"
"""Appended to a key, it makes the next possible key."""
_AFTER_ASCII: Final = "\x80"

_SETTINGS: Final = (
    # The kernel holds this lock as long as the process lives. It keeps a second server away;
    # otherwise watches and locks would have to be in the file.
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = WAL",
    # Fewer and larger than the default of 1,000 pages: pages written often are copied back once.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -16000",
)
# In a table WITHOUT ROWID a large value would cost two to four times as much to read or write: its
# first kilobyte would be in the tree, where every change of a neighbour moves it.
_SCHEMA: Final = (
    "CREATE TABLE entries (key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, version INT NOT NULL)",
    "CREATE TABLE clock (version INTEGER NOT NULL)",
    "INSERT INTO clock VALUES (1)",
    f"PRAGMA application_id = {_MARK}",
    f"PRAGMA user_version = {_LAYOUT}",
)
# Kept in the file, so that no version is used twice after a deletion, a crash or a restart.
_TICK: Final = "UPDATE clock SET version = version + 1 RETURNING version"
_GET: Final = "SELECT key, value, version FROM entries WHERE key = ?"
_SCAN: Final = (
    "SELECT key, value, version FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
)
_VERSION: Final = "SELECT version FROM entries WHERE key = ?"
_PUT: Final = (
    "INSERT INTO entries (key, value, version) VALUES (?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version"
)
_PUT_NEW: Final = (
    "INSERT INTO entries (key, value, version) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING"
)
_PUT_OVER: Final = "UPDATE entries SET value = ?, version = ? WHERE key = ? AND version = ?"
_DELETE: Final = "DELETE FROM entries WHERE key = ?"
_DELETE_AT: Final = "DELETE FROM entries WHERE key = ? AND version = ?"

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


class Synchronous(StrEnum):
    """What a completed commit survives."""

    NORMAL = "NORMAL"
    """The end of the process, even by SIGKILL; power loss destroys the latest commits."""
    FULL = "FULL"
    """Power loss, too: every commit waits for the disk."""


class SqliteState(StatePort):
    """State in a file that only this process uses; a second process is refused.

    Args:
        path: The file, made if missing, readable by this user only.
        synchronous: A `Synchronous`, or its name.

    Raises:
        Unavailable: When the file cannot be used; the message says why and what to do.
    """

    adapter: ClassVar[str] = "sqlite"
    shared: ClassVar[bool] = False
    max_operations: ClassVar[int] = 1000
    max_bytes: ClassVar[int] = 2_000_000

    def __init__(self, path: Path, *, synchronous: str = Synchronous.NORMAL) -> None:
        self._path = path
        _make_private(path)
        with self._explained():
            self._database = sqlite3.connect(path, _OPEN_TIMEOUT_S, isolation_level=None)
            try:
                moment = self._prepare(Synchronous(synchronous))
            except BaseException:
                self._database.close()
                raise
        self._changes = Changes(moment)
        self._locks: dict[str, _ProcessLock] = {}

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        """See `StatePort.get`; no commit of this process can happen between the reads."""
        with self._explained():
            execute = self._database.execute
            rows = [execute(_GET, (key,)).fetchone() for key in keys]
        return {row[0]: StateEntry(*row) for row in rows if row}

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        """See `StatePort.scan`; reads a range of the index."""
        bounds = (max(prefix, after + _NEXT), prefix + _AFTER_ASCII, limit)
        with self._explained():
            return [StateEntry(*row) for row in self._database.execute(_SCAN, bounds)]

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """See `StatePort.commit`; one transaction, in the order of the operations."""
        refuse_too_large(operations, self.max_operations, self.max_bytes)
        with self._explained():
            version, changed = self._transact(operations)
        self._changes.note(changed, version)
        return {operation.key: version for operation in operations if isinstance(operation, Put)}

    async def watch(self, prefix: str, after: int, timeout_s: float) -> int:
        """See `StatePort.watch`; waits for a commit of this process, the only writer."""
        return await self._changes.wait(prefix, after, timeout_s)

    async def lock(self, name: str, ttl_s: float) -> Lock | None:  # noqa: ARG002 - ends with this process
        """See `StatePort.lock`; a lock among the tasks of this process."""
        if name in self._locks:
            return None
        lock = self._locks[name] = _ProcessLock(self._locks, name)
        return lock

    async def ping(self) -> None:
        """See `StatePort.ping`; reads from the file."""
        with self._explained():
            self._database.execute("SELECT version FROM clock").fetchone()

    async def close(self) -> None:
        """See `StatePort.close`; another process may open the file at once."""
        self._changes.end()
        self._locks.clear()
        with self._explained():
            self._database.close()

    def _prepare(self, synchronous: Synchronous) -> int:
        """Lock the file, make its tables if it is new, and return its latest version."""
        execute = self._database.execute
        for setting in (*_SETTINGS, f"PRAGMA synchronous = {synchronous}"):
            execute(setting).fetchone()
        execute("BEGIN IMMEDIATE")
        (mark,) = execute("PRAGMA application_id").fetchone()
        (layout,) = execute("PRAGMA user_version").fetchone()
        (tables,) = execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables:
            for statement in _SCHEMA:
                execute(statement)
        elif (mark, layout) != (_MARK, _LAYOUT):
            raise Unavailable(f"{self._path} was not written by this version; choose another file")
        execute("COMMIT")
        version: int = execute("SELECT version FROM clock").fetchone()[0]
        return version

    def _transact(self, operations: Sequence[Operation]) -> tuple[int, list[str]]:
        execute = self._database.execute
        execute("BEGIN IMMEDIATE")
        try:
            version: int = execute(_TICK).fetchone()[0]
            changed = [done.key for done in operations if self._apply(done, version)]
            execute("COMMIT")
        except BaseException:
            # SQLite may already have rolled back, after a full disk or a failed write.
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise
        return version, changed

    def _apply(self, operation: Operation, version: int) -> bool:
        """Do one operation; return whether it changed something."""
        key, expect, execute = operation.key, operation.expect, self._database.execute
        if isinstance(operation, Put):
            if expect == ANY:
                done = execute(_PUT, (key, operation.value, version)).rowcount
            elif expect == 0:
                done = execute(_PUT_NEW, (key, operation.value, version)).rowcount
            else:
                done = execute(_PUT_OVER, (operation.value, version, key, expect)).rowcount
        elif isinstance(operation, Delete) and expect == ANY:
            return execute(_DELETE, (key,)).rowcount > 0
        elif isinstance(operation, Delete) and expect:
            done = execute(_DELETE_AT, (key, expect)).rowcount
        else:
            (present,) = execute(_VERSION, (key,)).fetchone() or (0,)
            if expect not in (ANY, present):
                raise Conflict([key])
            return False
        if not done:
            raise Conflict([key])
        return True

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of SQLite into one sentence that names the file and says what to do."""
        try:
            yield
        except sqlite3.Error as error:
            # Errors of the Python module itself, as after `close`, have no SQLite error code.
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            sentence = _SENTENCES.get(code, f"cannot answer: {error}")
            raise Unavailable(f"the state file {self._path} {sentence}") from error


class _ProcessLock(Lock):
    """A lock among tasks of one process; it is held while it is in the table."""

    def __init__(self, table: dict[str, _ProcessLock], name: str) -> None:
        self._table = table
        self._name = name

    async def held(self) -> bool:
        return self._table.get(self._name) is self

    async def release(self) -> None:
        if await self.held():
            del self._table[self._name]


def _make_private(path: Path) -> None:
    """Make the file private before SQLite makes it; its journal gets the same mode."""
    with disk.faults(path):
        disk.private_directory(path.parent)
        try:
            disk.write_new(path, b"", sync=False)
        except FileExistsError:
            # Not opened: closing it would end the lock that another handle of this process holds.
            path.chmod(disk.PRIVATE_FILE)
