"""Rows of messages in SQLite: statements that each add, find or change many of them.

A statement for each message would take most of the time of a request: the calls, and a lock of the
interpreter that is given up and taken again for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    Run = tuple[int, int, int]

_AT_ONCE: Final = (64, 8, 1)
"""Numbers of rows of one statement; as there are few, SQLite compiles each once."""
_INSERT: Final = (
    "INSERT INTO messages (queue, pushed_at, ready_at, attempt, body)"
    " SELECT ?, ?, ?, 0, column1 FROM (VALUES "
)
_ADD: Final = {count: f"{_INSERT}{', '.join(['(?)'] * count)})" for count in _AT_ONCE}
# A plus sign: with the index of the queue, all of its messages would be read.
_RUN: Final = " WHERE +queue = ? AND +attempt = ? AND number BETWEEN ? AND ?"
_TAKE: Final = "UPDATE messages SET attempt = ?, ready_at = ? WHERE number BETWEEN ? AND ?"
_COUNT: Final = f"SELECT count(*) FROM messages{_RUN}"  # noqa: S608 - a constant
_REMOVE: Final = f"DELETE FROM messages{_RUN}"  # noqa: S608 - a constant
_POSTPONE: Final = f"UPDATE messages SET ready_at = ?{_RUN}"  # noqa: S608 - a constant


def add(
    database: sqlite3.Connection, queue: int, bodies: Sequence[bytes], now: float, ready_at: float
) -> None:
    """Add messages to the queue of a number."""
    start = 0
    for count in _AT_ONCE:
        while len(bodies) - start >= count:
            some = bodies[start : start + count]
            database.execute(_ADD[count], (queue, now, ready_at, *some))
            start += count


def runs_of(held: Iterable[tuple[int, int]]) -> list[Run]:
    """Return numbers of messages, each with its attempt, as runs that one statement can find.

    Returns:
        The attempt, the first and the last number of each run.

    >>> runs_of([(7, 1), (8, 1), (9, 2), (10, 2), (12, 2)])
    [(1, 7, 8), (2, 9, 10), (2, 12, 12)]
    """
    runs: list[Run] = []
    first, last, of = 0, -1, 0
    for number, attempt in held:
        if number != last + 1 or attempt != of:
            if last >= 0:
                runs.append((of, first, last))
            first, of = number, attempt
        last = number
    return [*runs, (of, first, last)] if last >= 0 else runs


def take(database: sqlite3.Connection, runs: Sequence[Run], until: float) -> None:
    """Give messages, all of which are in the runs, these attempts and a deadline."""
    database.executemany(_TAKE, [(attempt, until, first, last) for attempt, first, last in runs])


def count(database: sqlite3.Connection, queue: int, runs: Sequence[Run]) -> int:
    """Return how many messages of a queue are held with these attempts."""
    return sum(database.execute(_COUNT, (queue, *run)).fetchone()[0] for run in runs)


def remove(database: sqlite3.Connection, queue: int, runs: Sequence[Run]) -> int:
    """Remove messages that are held with these attempts; return how many these were."""
    removed: int = database.executemany(_REMOVE, [(queue, *run) for run in runs]).rowcount
    return max(0, removed)


def postpone(database: sqlite3.Connection, queue: int, runs: Sequence[Run], until: float) -> int:
    """Set the deadline of messages that are held with these attempts; return how many."""
    return max(0, database.executemany(_POSTPONE, [(until, queue, *run) for run in runs]).rowcount)
