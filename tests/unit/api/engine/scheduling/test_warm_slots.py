"""The keeper of warm slots: slots run before the first call, and while none comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_model.wire.rest import PublishRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.engine.scheduling.warm_slots import WarmSlotKeeper

    from tests.unit.api.api_harness import ApiHarness


async def publish(api: ApiHarness, warm: int) -> WarmSlotKeeper:
    """Publish a function; return the keeper."""
    job = replace(api.request(1), kind="call")
    request = PublishRequest(label="e", warm=warm, job=job)
    await api.use_cases.rest.endpoints.publish(ACCOUNT, request)
    return api.server.background.warm_slots


async def look(api: ApiHarness, keeper: WarmSlotKeeper) -> int:
    """Let the keeper look; return how many slots were requested in all."""
    await keeper.look()
    await asyncio.gather(*api.server.background.autoscaler._checks)
    return sum(burst.count for burst in api.scheduler.bursts)


async def test_warm_slots_start_without_a_job(api: ApiHarness) -> None:
    """Once, and as many as the machines have room for."""
    keeper = await publish(api, 1)
    assert await look(api, keeper) == 1
    assert await look(api, keeper) == 1
    await api.slot()
    assert await look(api, keeper) == 1

    await publish(api, 5)

    assert await look(api, keeper) == 2


async def test_a_warm_slot_that_ended_is_replaced(api: ApiHarness) -> None:
    """Not before the pause that follows the loss of a new slot is over."""
    keeper = await publish(api, 1)
    await look(api, keeper)
    await api.lose(await api.slot())

    assert await look(api, keeper) == 2


async def test_only_the_leader_starts_slots(api: ApiHarness) -> None:
    """Other processes know of them, so that their slots stay."""
    keeper = await publish(api, 1)
    api.server.background.autoscaler.is_leader = False

    assert await look(api, keeper) == 0
    assert sum(map(api.server.context.warm_slots.count, api.server.context.warm_slots.pools())) == 1


async def test_a_publication_is_noticed_at_once(api: ApiHarness) -> None:
    """The keeper does not wait for its next look then."""
    keeper = await publish(api, 0)
    waiting = asyncio.create_task(keeper.keep())
    await asyncio.sleep(0.01)
    assert not waiting.done()

    await publish(api, 1)

    await asyncio.wait_for(waiting, 10)


async def test_a_warm_slot_stays_while_it_has_nothing_to_do(api: ApiHarness) -> None:
    """Other slots of the pool, and one that must end, are not asked to."""
    keeper = await publish(api, 1)
    await look(api, keeper)
    first = await api.slot()
    api.now += 1.0
    second = await api.slot()
    answers = [await api.work(slot) for slot in (first, second)]
    assert [answer.stay for answer in answers] == [True, False]
    await api.submit(1)
    assert not (await api.work(first)).stay

    await api.use_cases.slots.slots.restart(ACCOUNT)

    retired = await api.work(first)
    assert (retired.stay, retired.exit) == (False, True)


async def test_warm_slots_make_room_for_jobs(api: ApiHarness) -> None:
    """If jobs of another core type get no slot, an idle warm slot ends; it starts again later."""
    keeper = await publish(api, 1)
    await look(api, keeper)
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=10.0))
    await asyncio.sleep(0)
    api.scheduler.full = "There is no room."
    await api.submit(1, core_type="m1")
    await asyncio.sleep(0.01)
    api.now += 2

    await api.server.background.autoscaler.release_idle()

    async with asyncio.timeout(10):
        answer = await waiting
    assert (answer.exit, answer.stay) == (True, False)
