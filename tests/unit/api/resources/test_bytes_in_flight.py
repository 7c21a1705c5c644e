"""Bytes in flight: large requests wait for room, and one account leaves room for the others."""

from __future__ import annotations

import asyncio

import pytest
from picloud_api.resources.bytes_in_flight import BytesInFlight, Hold
from picloud_model.errors import AccountBusy


async def test_a_request_waits_for_room() -> None:
    """Once another request of the sender is answered, it goes on."""
    counted = BytesInFlight(100, 60)
    first, second = Hold(counted, "a"), Hold(counted, "a")
    await counted.add(first, 50)
    waiting = asyncio.create_task(counted.add(second, 50))
    await asyncio.sleep(0.05)

    assert not waiting.done()
    del first
    await waiting

    assert counted.total == 50


async def test_one_account_leaves_room_for_others() -> None:
    """A sender at its bound is refused after a while; another one is not."""
    counted = BytesInFlight(100, 60, wait_s=0.05)
    own, others = Hold(counted, "a"), Hold(counted, "b")
    await counted.add(own, 60)

    with pytest.raises(AccountBusy):
        await counted.add(own, 1)
    await counted.add(others, 40)

    assert counted.total == 100
