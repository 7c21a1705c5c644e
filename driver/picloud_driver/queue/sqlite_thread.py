"""The thread that runs SQLite for queues: what waits at the same time shares a transaction."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from picloud_driver import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = TypeVar("Result")

_MARK: Final = 0x70695173
"""Marks the file as PiCloud's queues in its header."""
_LAYOUT: Final = 1
_MOST_TOGETHER: Final = 256
"""Most operations that share a transaction."""

# AUTOINCREMENT: the number of a removed message is never used again, so no late ticket fits it.
_SCHEMA: Final = (
    (
        "CREATE TABLE queues (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
        " total INTEGER NOT NULL)"
    ),
    (
        "CREATE TABLE messages (number INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL, ready_at REAL NOT NULL, pushed_at REAL NOT NULL,"
        " body BLOB NOT NULL)"
    ),
    "CREATE INDEX by_time ON messages (queue, ready_at, number, attempt)",
    (
        "CREATE TABLE pushes (queue INTEGER NOT NULL, id TEXT NOT NULL, at REAL NOT NULL,"
        " PRIMARY KEY (queue, id)) WITHOUT ROWID"
    ),
    "CREATE INDEX by_age ON pushes (at)",
)


class _Operation:
    """What is to be done in a transaction, and who waits for it."""

    def __init__(self, act: Callable[[sqlite3.Connection], Any], *, synced: bool) -> None:
        self.act = act
        self.synced = synced
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Give the result to the task that waits, if it still does."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class SqliteThread:
    """A file of queues, and the thread that alone reads and writes it.

    Raises:
        Unavailable: When the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        sqlite_file.make_private(path)
        with self._explained():
            self._database = sqlite3.connect(
                path,
                sqlite_file.OPEN_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                for setting in (*sqlite_file.SETTINGS, "PRAGMA synchronous = FULL"):
                    self._database.execute(setting).fetchone()
                sqlite_file.prepare(
                    self._database, path, mark=_MARK, layout=_LAYOUT, schema=_SCHEMA
                )
            except BaseException:
                self._database.close()
                raise
        self._synced = True
        self._waiting: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="queues", daemon=True)
        self._thread.start()

    async def run(
        self, act: Callable[[sqlite3.Connection], Result], *, synced: bool = True
    ) -> Result:
        """Do something in a transaction and return its result once it is on disk.

        Args:
            act: Is given the database. What it raises must come before its first change, as others
                share the transaction.
            synced: Whether it is to survive a power failure. Without, it still survives the death
                of the process, and the disk is waited for only if another operation needs that.

        Raises:
            Unavailable: When the file cannot be read or written; nothing was changed.
        """
        operation = _Operation(act, synced=synced)
        self._waiting.put(operation)
        result: Result = await operation.future
        return result

    async def close(self) -> None:
        """Close the file once everything that waits is done."""
        if self._thread.is_alive():
            self._waiting.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._database.close()

    def _work(self) -> None:
        while True:
            operations, ends = self._next()
            try:
                with self._explained():
                    self._transact(operations)
            except Exception as error:  # noqa: BLE001 - each task that waits has to be told
                for operation in operations:
                    operation.error = error
            for operation in operations:
                # The loop of a killed test may be closed by now.
                if not operation.loop.is_closed():
                    operation.loop.call_soon_threadsafe(operation.settle)
            if ends:
                return

    def _next(self) -> tuple[list[_Operation], bool]:
        """Wait for operations; return those that wait together, and whether to end then."""
        operations: list[_Operation] = []
        operation = self._waiting.get()
        while operation is not None:
            operations.append(operation)
            if len(operations) == _MOST_TOGETHER:
                return operations, False
            try:
                operation = self._waiting.get_nowait()
            except queue.Empty:
                return operations, False
        return operations, True

    def _transact(self, operations: list[_Operation]) -> None:
        execute = self._database.execute
        synced = any(operation.synced for operation in operations)
        if synced != self._synced:
            execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")
            self._synced = synced
        execute("BEGIN IMMEDIATE")
        try:
            for operation in operations:
                try:
                    operation.result = operation.act(self._database)
                except sqlite3.Error:
                    raise
                except Exception as error:  # noqa: BLE001 - it belongs to the task that waits
                    operation.error = error
            execute("COMMIT")
        except BaseException:
            # SQLite may already have rolled back, after a full disk or a failed write.
            if self._database.in_transaction:
                execute("ROLLBACK")
            raise

    def _explained(self) -> Any:
        return sqlite_file.explained("queue", self._path)
