"""Lines: first come, first served, with a limit to the wait."""

from __future__ import annotations

import asyncio

from picloud_api.usecases.sharing.line import Lines


async def test_the_first_of_a_line_is_followed_by_the_next() -> None:
    """Others wait in their order, also after an error of the first; other lines do not wait."""
    lines, entered = Lines(), []

    async def enter(key: str, name: str, leave: asyncio.Event) -> None:
        async with lines.first(key, 10) as is_first:
            entered.append((name, is_first))
            await leave.wait()
            raise KeyError

    leaves = [asyncio.Event() for _ in range(4)]
    tasks = [
        asyncio.create_task(enter(key, key + str(at), leave))
        for at, (key, leave) in enumerate(zip("aaab", leaves, strict=True))
    ]
    await asyncio.sleep(0.01)
    assert entered == [("a0", True), ("b3", True)]
    for leave in leaves:
        leave.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert entered == [("a0", True), ("b3", True), ("a1", True), ("a2", True)]
    assert lines._lines == {}


async def test_a_wait_has_a_limit() -> None:
    """A request that is not the first in time gets False; without a wait, the free line is its."""
    lines = Lines()

    async with lines.first("a", 0) as first, lines.first("a", 0.01) as second:
        assert (first, second) == (True, False)
        async with lines.first("a", 0) as third:
            assert third is False
    async with lines.first("a", 0) as is_first:
        assert is_first
