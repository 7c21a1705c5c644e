"""Listing: the jobs of an account, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.errors import RequestRefused

from tests.unit.api.world import ACCOUNT, ended

if TYPE_CHECKING:
    from tests.unit.api.world import World


async def listed(world: World, **request: object) -> tuple[list[int], int | None]:
    """The jids of a list, and where it goes on."""
    answer = await world.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(**request))  # type: ignore[arg-type]
    return [job.jid for job in answer.jobs], answer.more


async def test_newest_first(world: World) -> None:
    """Jobs of calls, small maps and large ones come in one descending order."""
    for count in (3, 2500, 1, 150, 1):
        await world.submit(count)

    jids, more = await listed(world, limit=10_000)

    assert jids == list(range(2655, 0, -1))
    assert more is None


async def test_reading_on(world: World) -> None:
    """`more` is where the next page begins; the pages together are the whole list."""
    await world.submit(1700)
    await world.submit(30)
    found: list[int] = []
    before = None
    while True:
        jids, before = await listed(world, before=before, limit=400)
        found += jids
        if before is None:
            break

    assert found == list(range(1730, 0, -1))


async def test_filters(world: World) -> None:
    """By status, label and time."""
    old = await world.submit(2, label="old")
    slot = await world.slot()
    leases = (await world.work(slot)).leases
    await world.work(slot, reports=[ended(lease) for lease in leases], lease=False)
    world.now += 100
    new = await world.submit(2, label="new")
    done = [job.index + old[0] for lease in leases for job in lease.jobs]

    assert (await listed(world, statuses=["done"]))[0] == sorted(done, reverse=True)
    assert (await listed(world, label="new"))[0] == [new[1], new[0]]
    assert (await listed(world, created_since=world.now - 1))[0] == [new[1], new[0]]
    assert (await listed(world, statuses=["killed", "error"]))[0] == []


async def test_a_wrong_status_names_the_right_ones(world: World) -> None:
    """A closed list is told to whoever misses it."""
    with pytest.raises(RequestRefused, match=r"no status 'ready'; there are waiting, queued"):
        await listed(world, statuses=["ready"])


async def test_deleted_jobs_are_left_out(world: World) -> None:
    """Who deleted a job does not want to see it."""
    jids = await world.submit(3)
    await world.use_cases.jobs.kill.kill(ACCOUNT, None)
    await world.use_cases.jobs.delete.delete(ACCOUNT, [(jids[1], jids[1])])

    assert (await listed(world))[0] == [3, 1]


async def test_accounts_see_their_own(world: World) -> None:
    """An account without jobs has an empty list."""
    await world.submit(3)

    assert (await world.use_cases.jobs.listing.list("a0000002", wire.ListRequest())).jobs == []
