"""The leader: one process at a time holds the lock, and only it starts slots."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from picloud_api.background.leader import Leadership
from picloud_api.background.loops import Loop, repeat

if TYPE_CHECKING:
    from picloud_driver.state import StatePort

    from tests.unit.api.api_harness import ApiHarness


class Lock:
    """A lock that is held until a test takes it away."""

    def __init__(self) -> None:
        self.is_held = True
        self.released = False

    async def held(self) -> bool:
        return self.is_held

    async def release(self) -> None:
        self.released = True


class Locks:
    """A store with one lock, which may be taken."""

    def __init__(self, lock: Lock | None) -> None:
        self.free = lock

    async def lock(self, name: str, ttl_s: float) -> Lock | None:
        del name, ttl_s
        return self.free


def leader_of(api: ApiHarness, lock: Lock | None) -> Leadership:
    """Return a leader that competes for a lock."""
    return Leadership(cast("StatePort", Locks(lock)), api.server.background.autoscaler)


def test_a_process_alone_leads(api: ApiHarness) -> None:
    """Where the state store is not shared there is no lock."""
    assert api.server.background.leader.is_leader


async def test_a_process_without_the_lock_does_not_lead(api: ApiHarness) -> None:
    """It starts no slots, and tries again."""
    leader = leader_of(api, None)
    await api.submit(1)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await leader.lead()
    api.scheduler.bursts.clear()
    api.server.background.autoscaler.scale_up_all()
    await asyncio.sleep(0.01)

    assert not leader.is_leader
    assert api.scheduler.bursts == []


async def test_a_process_leads_while_it_holds_the_lock(api: ApiHarness) -> None:
    """When the lock is lost, another process may have taken it already."""
    lock = Lock()
    leader = leader_of(api, lock)
    leading = asyncio.create_task(leader.lead())
    await asyncio.sleep(0.01)
    assert leader.is_leader

    lock.is_held = False
    await leading

    assert not leader.is_leader
    assert lock.released


async def test_a_leader_that_stops_releases_the_lock(api: ApiHarness) -> None:
    """The others need not wait until it expires."""
    lock = Lock()
    leader = leader_of(api, lock)
    task = asyncio.create_task(repeat(Loop(run=leader.lead)))
    await asyncio.sleep(0.01)
    assert leader.is_leader

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert not leader.is_leader
    assert lock.released
