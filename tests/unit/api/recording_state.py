"""A state store that records its requests, in the forms that adapters may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from picloud_driver.state.sqlite import SqliteState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from picloud_driver.state import Operation, StateEntry


class RecordingState(SqliteState):
    """SQLite that records its requests.

    Attributes:
        reads: The keys of each read.
        scans: The prefix of each scan.
        commits: The number of operations of each transaction.
        before_read: What happens while a read is under way.
        after_scan: What happens before the answer of a scan arrives, by its prefix.
        before_commit: What happens while a transaction is under way.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[list[str]] = []
        self.scans: list[str] = []
        self.commits: list[int] = []
        self.before_read: Callable[[], Awaitable[object]] | None = None
        self.after_scan: Callable[[str], Awaitable[object]] | None = None
        self.before_commit: Callable[[], Awaitable[object]] | None = None

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        self.reads.append(list(keys))
        if self.before_read is not None:
            await self.before_read()
        return await super().get(keys)

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        self.scans.append(prefix)
        entries = await super().scan(prefix, after, limit)
        if self.after_scan is not None:
            await self.after_scan(prefix)
        return entries

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        self.commits.append(len(operations))
        if self.before_commit is not None:
            await self.before_commit()
        return await super().commit(operations)


class SharedRecordingState(RecordingState):
    """One that other processes write to as well, like Consul."""

    shared: ClassVar[bool] = True


class BoundedState(RecordingState):
    """One that must stay small, like Consul: finished batches move to blobs."""

    bounded: ClassVar[bool] = True


class SmallTransactionState(RecordingState):
    """One with transactions of 64 operations, like Consul."""

    max_operations: ClassVar[int] = 64
