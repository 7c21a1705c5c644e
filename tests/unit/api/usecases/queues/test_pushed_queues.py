"""The queues that got messages: each once, and what waits for one is woken."""

from __future__ import annotations

import asyncio

from picloud_api.usecases.queues.pushed_queues import PushedQueues


async def test_a_queue_is_returned_once() -> None:
    """However often it got messages; then the next push is waited for."""
    pushed = PushedQueues()
    for _ in range(2):
        pushed.add("a1", "q")

    assert await pushed.take() == {("a1", "q")}
    waiting = asyncio.create_task(pushed.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    pushed.add("a1", "r")
    assert await asyncio.wait_for(waiting, 10) == {("a1", "r")}
