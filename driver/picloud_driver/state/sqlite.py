"""State in one SQLite file, for a stack with a single server process.

Every method runs SQLite on the event loop. A commit of a few keys takes about 20 microseconds and a
read 3; a call in a thread would cost 35 more, and its wait for the interpreter lock as much again.
The exception is a checkpoint, which takes some milliseconds every 16 MB written.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_driver import sqlite_file
from picloud_driver.state.changes import Changes
from picloud_driver.state.port import ANY, Conflict, Delete, Put, StateEntry, StateLock, StatePort
from picloud_driver.state.size import refuse_too_large

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from picloud_driver.state.port import Operation

_MARK: Final = 0x70694364
"""Marks the file as PiCloud's in its header."""
_LAYOUT: Final = 1
_NEXT: Final = "\0"
"""Appended to a key, it makes the next possible key."""
_AFTER_ASCII: Final = "\x80"

# In a table WITHOUT ROWID a large value would cost two to four times as much to read or write: its
# first kilobyte would be in the tree, where every change of a neighbour moves it.
_SCHEMA: Final = (
    "CREATE TABLE entries (key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, version INT NOT NULL)",
    "CREATE TABLE clock (version INTEGER NOT NULL)",
    "INSERT INTO clock VALUES (1)",
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
        sqlite_file.make_private(path)
        with self._explained():
            self._database = sqlite3.connect(path, sqlite_file.OPEN_TIMEOUT_S, isolation_level=None)
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

    async def lock(self, name: str, ttl_s: float) -> StateLock | None:  # noqa: ARG002 - ends with this process
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
        for setting in (*sqlite_file.SETTINGS, f"PRAGMA synchronous = {synchronous}"):
            execute(setting).fetchone()
        sqlite_file.prepare(self._database, self._path, mark=_MARK, layout=_LAYOUT, schema=_SCHEMA)
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

    def _explained(self) -> AbstractContextManager[None]:
        return sqlite_file.explained("state", self._path)


class _ProcessLock(StateLock):
    """A lock among tasks of one process; it is held while it is in the table."""

    def __init__(self, table: dict[str, _ProcessLock], name: str) -> None:
        self._table = table
        self._name = name

    async def held(self) -> bool:
        return self._table.get(self._name) is self

    async def release(self) -> None:
        if await self.held():
            del self._table[self._name]
