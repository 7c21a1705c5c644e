"""Queues in SQLite: when the disk is waited for, full, or was without power."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from picloud_driver.queue import Exchanged, QueueCounts, QueuePush
from picloud_driver.queue.sqlite import SqliteQueues
from picloud_model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

Result = TypeVar("Result")


async def test_a_push_onto_a_full_disk_is_refused_whole(tmp_path: Path) -> None:
    """The error names the file; what was pushed before stays, and once there is room it works."""
    queues = SqliteQueues(tmp_path / "queues.sqlite")
    await queues.create("q")
    await queues.push("q", "1", [b"first"])
    limit = queues._thread._database.execute
    (pages,) = limit("PRAGMA page_count").fetchone()
    limit(f"PRAGMA max_page_count = {pages + 4}")

    with pytest.raises(Unavailable, match=r"queue file .*queues\.sqlite .*full"):
        await queues.push("q", "2", [b"x" * 1000] * 500)
    assert (await queues.counts("q")).ready == 1
    limit("PRAGMA max_page_count = 1000000")
    await queues.push("q", "2", [b"x" * 1000] * 500)

    assert (await queues.counts("q")).ready == 501
    await queues.close()


async def test_what_adds_or_removes_messages_waits_for_the_disk_once(tmp_path: Path) -> None:
    """An exchange is one transaction; who holds a message need not survive a power failure.

    What only reads does not let a take that shares its transaction wait for the disk.
    """
    queues = SqliteQueues(tmp_path / "queues.sqlite")
    await queues.create("q")
    database, statements = queues._thread._database, list[str]()
    database.set_trace_callback(statements.append)

    async def mode_of(operation: Awaitable[Result]) -> tuple[int, Result]:
        statements.clear()
        result = await operation
        assert statements.count("COMMIT") == 1
        (mode,) = database.execute("PRAGMA synchronous").fetchone()
        return mode, result

    full, normal = 2, 1
    assert (await mode_of(queues.push("q", "1", [b"1", b"2"])))[0] == full
    mode, (first, second) = await mode_of(queues.take("q", 2, deadline_s=60.0, timeout_s=0.0))
    assert mode == normal
    assert await mode_of(queues.postpone("q", [first.id], 60.0)) == (normal, [True])
    assert await mode_of(queues.counts("q")) == (normal, QueueCounts(in_flight=2))
    assert await mode_of(queues.ping()) == (normal, None)
    pushes = [QueuePush(queue="q", push_id=each, bodies=[b"3"]) for each in ("2", "3")]
    exchanged = await mode_of(queues.exchange("q", [first.id], pushes, hold_s=60.0))
    assert exchanged == (full, Exchanged([], [set(), set()]))
    assert await mode_of(queues.remove("q", [second.id])) == (full, [True])
    await queues.close()


async def test_a_delivery_from_before_the_machine_was_started_is_of_nobody(tmp_path: Path) -> None:
    """A power failure may have lost the number of its attempt, which another caller has by now."""
    path = tmp_path / "queues.sqlite"
    queues = SqliteQueues(path, boot="before")
    await queues.create("q")
    await queues.push("q", "1", [b"1"])
    (before,) = await queues.take("q", 1, deadline_s=60.0, timeout_s=0.0)
    await queues.postpone("q", [before.id], 0.0)
    await queues.close()
    queues = SqliteQueues(path, boot="after")
    queues._thread._database.execute("UPDATE messages SET attempt = 0")

    assert await queues.remove("q", [before.id]) == [False]
    (after,) = await queues.take("q", 1, deadline_s=60.0, timeout_s=0.0)

    assert after.id.attempt == before.id.attempt
    assert await queues.postpone("q", [before.id], 60.0) == [False]
    pushes = [QueuePush(queue="q", push_id="2", bodies=[b"2"])]
    exchanged = await queues.exchange("q", [before.id], pushes, hold_s=60.0)
    assert exchanged == Exchanged([0])
    assert await queues.remove("q", [before.id]) == [False]
    assert await queues.remove("q", [after.id]) == [True]
    await queues.close()


async def test_a_request_for_many_messages_is_few_statements(tmp_path: Path) -> None:
    """A statement for each message took most of the time of a request."""
    queues = SqliteQueues(tmp_path / "queues.sqlite")
    await queues.create("q")
    statements = list[str]()
    queues._thread._database.set_trace_callback(statements.append)

    async def count_of(operation: Awaitable[Result]) -> tuple[int, Result]:
        statements.clear()
        result = await operation
        return sum("messages" in each for each in statements), result

    few = 4
    bodies = [b"%d" % number for number in range(512)]
    assert (await count_of(queues.push("q", "1", bodies)))[0] == 512 / 64
    count, taken = await count_of(queues.take("q", 512, deadline_s=60.0, timeout_s=0.0))
    assert count <= few
    assert [each.body for each in taken] == bodies
    first, second = [each.id for each in taken[:256]], [each.id for each in taken[256:]]
    assert await count_of(queues.postpone("q", first, 60.0)) == (1, [True] * 256)
    pushes = [QueuePush(queue="q", push_id="2", bodies=bodies[:64])]
    count, exchanged = await count_of(queues.exchange("q", first, pushes, hold_s=60.0))
    assert (count <= few, exchanged) == (True, Exchanged([], [set()]))
    assert await count_of(queues.remove("q", second)) == (1, [True] * 256)
    assert (await queues.counts("q")).ready == 64
    await queues.close()


async def test_messages_between_those_of_a_request_stay(tmp_path: Path) -> None:
    """Those of another queue, those of another caller, and those that were taken again."""
    queues = SqliteQueues(tmp_path / "queues.sqlite")
    for name in ("q", "other"):
        await queues.create(name)
    for number in range(10):
        for name in ("q", "other"):
            await queues.push(name, str(number), [b"%d" % number])
    await queues.push("q", "10", [b"%d" % number for number in range(10, 20)])
    taken = [each.id for each in await queues.take("q", 20, deadline_s=60.0, timeout_s=0.0)]
    again = [*taken[2:4], *taken[11:14]]
    await queues.postpone("q", again, 0.0)
    retaken = [each.id for each in await queues.take("q", 9, deadline_s=60.0, timeout_s=0.0)]
    assert {each.number for each in retaken} == {each.number for each in again}

    held = [each not in again for each in taken]
    assert await queues.postpone("q", taken, 60.0) == held
    pushes = [QueuePush(queue="other", push_id="x", bodies=[b"x"])]
    exchanged = await queues.exchange("q", taken, pushes, hold_s=60.0)
    assert exchanged == Exchanged([2, 3, 11, 12, 13])
    assert await queues.remove("q", [*taken[:5], *taken[10:12], taken[0]]) == [
        True, True, False, False, True, True, False, True,
    ]  # fmt: skip
    assert (await queues.counts("q")).in_flight == 16
    assert await queues.remove("q", retaken) == [True] * 5
    assert (await queues.counts("q")).in_flight == 11
    assert (await queues.counts("other")).ready == 10
    await queues.close()
