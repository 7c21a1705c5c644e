"""Why a job does not run, and how slots are asked for that do not come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.engine.scheduling.autoscaler import PATIENCE_S, STARTING_S
from picloud_model.errors import JobNotFound

from tests.unit.api.world import ACCOUNT, ended

if TYPE_CHECKING:
    from tests.unit.api.world import World

FULL = "Nomad has no room for a slot of 1 x c1 now: of 1 machines 1 without enough memory."
REFUSED = "No machine offers core type 'c1'; machines offer c2."


async def why(world: World, jid: int) -> str:
    """What the server says of one job."""
    return (await world.use_cases.jobs.info._why.reasons(ACCOUNT, [(jid, jid)]))[jid]


async def considered(world: World) -> None:
    """Let the server look whether slots are missing, as it does every second."""
    world.now += PATIENCE_S
    placement = world.server.background.autoscaler
    placement.scale_up_all()
    await asyncio.gather(*placement._asking)


async def test_a_queued_job_has_a_place_in_the_queue(world: World) -> None:
    """It is told how many jobs are ahead of it, and how many slots there are for all of them."""
    await world.submit(3)
    jids = await world.submit(2)

    told = await why(world, jids[-1])

    assert told == "4 jobs are ahead of it for 0 slots of 1 x c1, and 2 more are starting."


async def test_a_job_that_matters_less_has_more_ahead_of_it(world: World) -> None:
    """What is ahead is what will be leased first: priority counts, then age."""
    later = await world.submit(1, priority=9)
    await world.submit(1200)

    assert (await why(world, later[0])).startswith("1200 jobs are ahead of it")


async def test_who_runs_or_has_ended_waits_for_nothing(world: World) -> None:
    """Nothing is said of a job that is leased or final."""
    jids = await world.submit(1)
    slot = await world.slot()
    [lease] = (await world.work(slot)).leases
    assert await why(world, jids[0]) == ""

    await world.work(slot, reports=[ended(lease)], lease=False)
    assert await why(world, jids[0]) == ""


async def test_the_scheduler_s_own_words(world: World) -> None:
    """Where slots cannot start, the sentence of the scheduler says what is in the way."""
    world.scheduler.refusal = REFUSED
    jids = await world.submit(1)
    await considered(world)

    told = await why(world, jids[0])

    assert (
        told == f"0 jobs are ahead of it for 0 slots of 1 x c1, and 0 more are starting. {REFUSED}"
    )


async def test_an_unknown_job_has_no_reason(world: World) -> None:
    """It is asked for like everything else of a job: of one's own account only."""
    with pytest.raises(JobNotFound):
        await why(world, 1)


async def test_a_refused_burst_is_asked_for_again(world: World) -> None:
    """A machine may come that offers the core type: then the jobs run at once."""
    world.scheduler.refusal = REFUSED
    await world.submit(1)
    await considered(world)
    assert world.scheduler.bursts == []

    world.scheduler.refusal = ""
    await considered(world)

    assert sum(burst.count for burst in world.scheduler.bursts) == 1


async def test_a_full_cluster_is_not_asked_for_ever_more(world: World) -> None:
    """Slots that wait for a machine count as coming for as long as they wait."""
    world.scheduler.full = FULL
    await world.submit(100)
    await considered(world)
    for _ in range(3):
        world.now += STARTING_S
        await considered(world)

    assert sum(burst.count for burst in world.scheduler.bursts) == 2


async def test_slots_that_were_taken_away_are_asked_for_again(world: World) -> None:
    """Where somebody stopped a burst that waited, another one is started."""
    world.scheduler.full = FULL
    await world.submit(100)
    await considered(world)
    world.scheduler.places.clear()
    world.now += STARTING_S
    await considered(world)

    assert sum(burst.count for burst in world.scheduler.bursts) == 4
