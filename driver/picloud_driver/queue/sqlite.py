"""Queues in one SQLite file, for a stack with a single server process.

A thread of its own runs SQLite: a transaction that adds or removes messages waits for the disk
(`synchronous=FULL`), for milliseconds, during which the event loop goes on. Operations that wait
share a transaction. Who holds a message is lost in a power failure, as the port allows; then no
earlier delivery is accepted, as its number of an attempt may be given out again.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import QueueNotFound

from picloud_driver.queue import sqlite_rows
from picloud_driver.queue.pace import Pace
from picloud_driver.queue.port import (
    IDS_REMEMBERED_S,
    NO_LIMITS,
    REMEMBERED_S,
    Delivery,
    DeliveryId,
    Exchanged,
    QueueCounts,
    QueuePort,
    QueuePush,
    TakeLimits,
    expired_of,
)
from picloud_driver.queue.sqlite_thread import SqliteThread

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Sequence

_LOOK_AGAIN_S: Final = 3600.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_BOOT_ID_LENGTH: Final = 8

_QUEUE: Final = "SELECT number FROM queues WHERE name = ?"
_CREATE: Final = "INSERT OR IGNORE INTO queues (name, total) VALUES (?, 0)"
_ADDED: Final = "UPDATE queues SET total = total + ? WHERE number = ?"
_REMEMBER: Final = "INSERT OR IGNORE INTO pushes (queue, id, at) VALUES (?, ?, ?)"
_FORGET: Final = "DELETE FROM pushes WHERE at < ?"
_READY: Final = (
    "SELECT number, attempt + 1, pushed_at, body FROM messages"
    " WHERE queue = ? AND ready_at <= ? ORDER BY ready_at, number LIMIT ?"
)
_OLDEST: Final = (
    "SELECT pushed_at FROM messages WHERE queue = ? AND ready_at <= ?"
    " ORDER BY ready_at, number LIMIT 1"
)
_NEXT: Final = "SELECT min(ready_at) FROM messages WHERE queue = ?"
_BODIES: Final = (
    "SELECT number, body FROM messages WHERE queue = ? AND number > ? ORDER BY number LIMIT 1000"
)
_EXISTS: Final = "SELECT 1 FROM messages WHERE queue = ? AND number = ?"
_HOLDS: Final = "SELECT 1 FROM messages WHERE queue = ? AND number = ? AND attempt = ?"
_IN_FLIGHT: Final = (
    "SELECT count(*), min(ready_at) FROM messages WHERE queue = ? AND ready_at > ? AND attempt > 0"
)
_TOTAL: Final = "SELECT total FROM queues WHERE number = ?"
_LATER: Final = (
    "SELECT count(*), coalesce(sum(attempt > 0), 0) FROM messages WHERE queue = ? AND ready_at > ?"
)


class SqliteQueues(QueuePort):
    """Queues in a file that only this process uses; a second process is refused.

    Args:
        path: The file, made if missing, readable by this user only.
        clock: The present time.
        boot: Identifies the time since the machine was started; by default, the kernel's id.

    Raises:
        Unavailable: When the file cannot be used; the message says why and what to do.
    """

    adapter: ClassVar[str] = "sqlite"

    def __init__(
        self, path: Path, clock: Callable[[], float] = time.time, boot: str | None = None
    ) -> None:
        self._clock = clock
        self._boot = _boot() if boot is None else boot
        self._thread = SqliteThread(path)
        self._changed: dict[str, asyncio.Event] = {}
        self._paces: dict[str, Pace] = {}
        """Used by the thread only."""
        self._limited: set[str] = set()
        """Queues with a limit of what is in flight: there, a removal lets a take go on."""

    async def create(self, queue: str) -> None:
        """See `QueuePort.create`."""
        await self._thread.run(lambda database: database.execute(_CREATE, (queue,)))

    async def delete(self, queue: str) -> None:
        """See `QueuePort.delete`."""

        def delete(database: sqlite3.Connection) -> None:
            for (number,) in database.execute(_QUEUE, (queue,)).fetchall():
                for table in ("messages", "pushes"):
                    database.execute(f"DELETE FROM {table} WHERE queue = ?", (number,))  # noqa: S608 - of this tuple
                database.execute("DELETE FROM queues WHERE number = ?", (number,))

        await self._thread.run(delete)
        self._paces.pop(queue, None)
        self._limited.discard(queue)
        self._wake(queue)

    async def push(
        self,
        queue: str,
        push_id: str,
        bodies: Sequence[bytes],
        delay_s: float = 0.0,
        *,
        ids: Sequence[str] = (),
    ) -> set[int]:
        """See `QueuePort.push`."""
        now = self._clock()
        pushed = QueuePush(queue=queue, push_id=push_id, bodies=bodies, delay_s=delay_s, ids=ids)
        repeated = await self._thread.run(
            lambda database: _push(database, _number(database, queue), pushed, now)
        )
        self._wake(queue)
        return repeated

    async def take(
        self,
        queue: str,
        most: int,
        *,
        deadline_s: float,
        timeout_s: float,
        limits: TakeLimits = NO_LIMITS,
    ) -> list[Delivery]:
        """See `QueuePort.take`; waits for a push of this process, or until a message is ready."""
        end = time.monotonic() + timeout_s
        if limits.in_flight:
            self._limited.add(queue)
        while True:
            changed = self._changed.setdefault(queue, asyncio.Event())
            taken, next_at = await self._take(queue, most, deadline_s, limits)
            remaining_s = end - time.monotonic()
            if taken or remaining_s <= 0:
                return taken
            wait_s = min(remaining_s, max(0.001, next_at - self._clock()))
            try:
                await asyncio.wait_for(changed.wait(), wait_s)
            except TimeoutError:
                continue

    async def _take(
        self, queue: str, most: int, deadline_s: float, limits: TakeLimits
    ) -> tuple[list[Delivery], float]:
        """Return what is ready, and when the next message can be taken if none can."""
        now = self._clock()

        def take(database: sqlite3.Connection) -> tuple[list[Delivery], float]:
            number = _number(database, queue)
            allowed, again_at = min(most, self.max_messages), None
            if limits != NO_LIMITS:
                allowed, again_at = self._allowed(database, queue, allowed, limits)
                if not allowed:
                    return [], again_at
            size, taken = 0, []
            # Not all at once: bodies beyond the limit would be read for nothing.
            rows = database.execute(_READY, (number, now, allowed))
            for row, attempt, pushed_at, body in rows:
                delivery = DeliveryId(row, attempt, self._boot)
                taken.append(Delivery(delivery, body, pushed_at))
                size += len(body)
                if size >= self.max_taken_bytes:
                    break
            rows.close()
            if limits.per_second:
                self._paces[queue].spend(len(taken), limits.per_second, time.monotonic())
            runs = sqlite_rows.runs_of((each.id.number, each.id.attempt) for each in taken)
            sqlite_rows.take(database, runs, now + deadline_s)
            next_at = None if taken else database.execute(_NEXT, (number,)).fetchone()[0]
            return taken, now + _LOOK_AGAIN_S if next_at is None else next_at

        return await self._thread.run(take, synced=False)

    def _allowed(
        self, database: sqlite3.Connection, queue: str, most: int, limits: TakeLimits
    ) -> tuple[int, float]:
        """Return how many messages limits allow to be taken, and when they allow one."""
        now, again_at = self._clock(), 0.0
        if limits.in_flight:
            row = database.execute(_IN_FLIGHT, (_number(database, queue), now)).fetchone()
            most = max(0, min(most, limits.in_flight - row[0]))
            again_at = row[1] or 0.0
        if limits.per_second and most:
            pace, moment = self._paces.setdefault(queue, Pace()), time.monotonic()
            most = min(most, pace.allowed(limits.per_second, moment))
            again_at = now + pace.wait_s(limits.per_second, moment)
        return most, again_at

    async def remove(self, queue: str, deliveries: Sequence[DeliveryId]) -> list[bool]:
        """See `QueuePort.remove`."""

        def remove(database: sqlite3.Connection) -> list[bool]:
            number = _number(database, queue)
            removed = sqlite_rows.remove(database, number, self._runs(deliveries))
            database.execute(_ADDED, (-removed, number))
            if removed == len(deliveries):
                return [True] * removed
            return [not _exists(database, number, each.number) for each in deliveries]

        removed = await self._thread.run(remove)
        if queue in self._limited:
            self._wake(queue)
        return removed

    async def exchange(
        self,
        queue: str,
        deliveries: Sequence[DeliveryId],
        pushes: Sequence[QueuePush],
        *,
        hold_s: float,  # noqa: ARG002 - one transaction does it all
    ) -> Exchanged:
        """See `QueuePort.exchange`."""
        now = self._clock()

        def exchange(database: sqlite3.Connection) -> Exchanged:
            number = _number(database, queue)
            targets = [_number(database, each.queue) for each in pushes]
            runs = self._runs(deliveries)
            if sqlite_rows.count(database, number, runs) < len(deliveries):
                return Exchanged(expired_of(self._held(database, number, deliveries)))
            repeated = [
                _push(database, target, each, now)
                for target, each in zip(targets, pushes, strict=True)
            ]
            removed = sqlite_rows.remove(database, number, runs)
            database.execute(_ADDED, (-removed, number))
            return Exchanged([], repeated)

        exchanged = await self._thread.run(exchange)
        for each in pushes:
            self._wake(each.queue)
        if queue in self._limited:
            self._wake(queue)
        return exchanged

    def _attempt(self, delivery: DeliveryId) -> int:
        """Return the attempt of a delivery; -1, which no message has, for one of another boot."""
        return delivery.attempt if delivery.owner == self._boot else -1

    def _runs(self, deliveries: Sequence[DeliveryId]) -> list[sqlite_rows.Run]:
        return sqlite_rows.runs_of((each.number, self._attempt(each)) for each in deliveries)

    def _held(
        self, database: sqlite3.Connection, number: int, deliveries: Sequence[DeliveryId]
    ) -> list[bool]:
        """Return for each delivery of the queue of a number whether it is the last one."""
        return [
            database.execute(_HOLDS, (number, each.number, self._attempt(each))).fetchone()
            is not None
            for each in deliveries
        ]

    async def postpone(
        self, queue: str, deliveries: Sequence[DeliveryId], deadline_s: float
    ) -> list[bool]:
        """See `QueuePort.postpone`."""
        ready_at = self._clock() + deadline_s

        def postpone(database: sqlite3.Connection) -> list[bool]:
            number = _number(database, queue)
            runs = self._runs(deliveries)
            if sqlite_rows.postpone(database, number, runs, ready_at) == len(deliveries):
                return [True] * len(deliveries)
            return self._held(database, number, deliveries)

        postponed = await self._thread.run(postpone, synced=False)
        self._wake(queue)
        return postponed

    async def counts(self, queue: str) -> QueueCounts:
        """See `QueuePort.counts`; the total is kept, as counting a million takes 50 ms."""
        now = self._clock()

        def counts(database: sqlite3.Connection) -> QueueCounts:
            number = _number(database, queue)
            (total,) = database.execute(_TOTAL, (number,)).fetchone()
            later, in_flight = database.execute(_LATER, (number, now)).fetchone()
            oldest = database.execute(_OLDEST, (number, now)).fetchone()
            oldest_at = oldest[0] if oldest else 0.0
            return QueueCounts(total - later, later - in_flight, in_flight, oldest_at)

        return await self._thread.run(counts, synced=False)

    async def bodies(self, queue: str) -> AsyncIterator[bytes]:
        """See `QueuePort.bodies`."""
        after = -1

        def read(database: sqlite3.Connection) -> list[tuple[int, bytes]]:
            size, read = 0, []
            rows = database.execute(_BODIES, (_number(database, queue), after))
            for row, body in rows:
                read.append((row, body))
                size += len(body)
                if size >= self.max_taken_bytes:
                    break
            rows.close()
            return read

        while page := await self._thread.run(read, synced=False):
            for _, body in page:
                yield body
            after = page[-1][0]

    async def purge(self, queue: str) -> None:
        """See `QueuePort.purge`."""

        def purge(database: sqlite3.Connection) -> None:
            number = _number(database, queue)
            database.execute("DELETE FROM messages WHERE queue = ?", (number,))
            database.execute("UPDATE queues SET total = 0 WHERE number = ?", (number,))

        await self._thread.run(purge)

    async def ping(self) -> None:
        """See `QueuePort.ping`; reads from the file."""
        await self._thread.run(
            lambda database: database.execute("SELECT 1 FROM queues LIMIT 1").fetchone(),
            synced=False,
        )

    async def close(self) -> None:
        """See `QueuePort.close`; another process may open the file at once."""
        await self._thread.close()

    def _wake(self, queue: str) -> None:
        """Let every take that waits for this queue look again."""
        event = self._changed.pop(queue, None)
        if event is not None:
            event.set()


def _number(database: sqlite3.Connection, queue: str) -> int:
    row = database.execute(_QUEUE, (queue,)).fetchone()
    if row is None:
        raise QueueNotFound
    number: int = row[0]
    return number


def _push(database: sqlite3.Connection, number: int, push: QueuePush, now: float) -> set[int]:
    """Add messages to the queue of a number; return the positions of those that are left out."""
    database.execute(_FORGET, (now - REMEMBERED_S,))
    if not push.ids and not database.execute(_REMEMBER, (number, push.push_id, now)).rowcount:
        return set()
    # The ids of messages are remembered for longer, as if they came later.
    at = now + IDS_REMEMBERED_S - REMEMBERED_S
    repeated = {
        position
        for position, each in enumerate(push.ids)
        if not database.execute(_REMEMBER, (number, each, at)).rowcount
    }
    added = push.bodies
    if repeated:
        added = [body for at, body in enumerate(push.bodies) if at not in repeated]
    sqlite_rows.add(database, number, added, now, now + push.delay_s)
    database.execute(_ADDED, (len(added), number))
    return repeated


def _boot() -> str:
    """Return what identifies the time since this machine was started; "" where it has no id."""
    try:
        return _BOOT_ID.read_text(encoding="ascii")[:_BOOT_ID_LENGTH]
    except OSError:
        return ""


def _exists(database: sqlite3.Connection, queue: int, number: int) -> bool:
    return database.execute(_EXISTS, (queue, number)).fetchone() is not None
