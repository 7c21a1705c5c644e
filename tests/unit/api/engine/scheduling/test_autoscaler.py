"""The autoscaler: how many slots are requested, when, and when idle ones go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_api.engine.scheduling.autoscaler import PATIENCE_S, STARTING_S, SlotAutoscaler
from picloud_api.store.records import Slot
from picloud_driver.scheduler import Pool
from picloud_model.errors import RequestRefused

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

FULL = "Nomad has no room for a slot of 1 x c1 now: of 1 machines 1 without enough memory."
REFUSED = "No machine offers core type 'c1'; machines offer c2."


async def test_a_burst_is_requested_when_slots_are_missing(api: ApiHarness) -> None:
    """For a map without slots, as many are requested as it can use and the machines can run."""
    await api.submit(1)
    await api.submit(100)
    await asyncio.sleep(0)

    assert sum(burst.count for burst in api.scheduler.bursts) == 2
    assert api.scheduler.bursts[0].name.startswith("pc-a0000001-000000000001-")


async def test_a_slot_that_registers_while_slots_are_counted_is_counted(
    start_api: StartApi,
) -> None:
    """Even with a slow store, no more slots are requested than the machines have room for."""
    api = await start_api(SharedRecordingState)

    async def register_slot(prefix: str) -> None:
        if prefix == Slot.prefix and api.scheduler.bursts:
            await api.slot()

    api.state.after_scan = register_slot
    await api.submit(1)
    await api.wait_until(lambda: _bursts(api), 1)
    await api.submit(1)

    await api.wait_until(lambda: _bursts(api), 2)
    assert sum(burst.count for burst in api.scheduler.bursts) == 2


async def _bursts(api: ApiHarness) -> int:
    return len(api.scheduler.bursts)


async def test_bursts_slow_down_while_slots_die_at_once(api: ApiHarness) -> None:
    """While slots are lost shortly after their start, the pause between bursts grows up to 2 s."""
    autoscaler = api.server.background.autoscaler
    slot = await api.slot()
    await api.submit(10)
    await asyncio.sleep(0.01)
    api.scheduler.bursts.clear()
    api.server.context.slot_sessions.give_up(slot.pool)

    autoscaler.back_off(slot.slot)
    await api.lose(slot)
    autoscaler.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert api.scheduler.bursts == []

    api.now += 2
    autoscaler.scale_up_if_needed(slot.pool)
    await asyncio.sleep(0.01)
    assert api.scheduler.bursts


async def test_idle_slots_make_room_for_another_pool(api: ApiHarness) -> None:
    """If no slot starts for jobs of another core type, an idle slot is released, then others."""
    slots = [await api.slot() for _ in range(4)]
    polls = [asyncio.create_task(api.work(slot, wait_s=60.0)) for slot in slots]
    await asyncio.sleep(0)
    api.scheduler.full = "There is no room."
    await api.submit(1, core_type="m1")
    await asyncio.sleep(0.01)
    ended: list[int] = []
    for waited_s in (0, 2, 2, 4):
        api.now += waited_s
        await api.server.background.autoscaler.release_idle()
        await asyncio.sleep(0.05)
        ended.append(sum(slot.dismissed for slot in slots))

    assert ended == [0, 1, 1, 3]
    assert all(poll.done() == slot.dismissed for poll, slot in zip(polls, slots, strict=True))


async def test_idle_slots_stay_while_the_slot_of_another_pool_starts(api: ApiHarness) -> None:
    """One that the scheduler runs has its room, however long it takes to register."""
    slot = await api.slot()
    waiting = asyncio.create_task(api.work(slot, wait_s=60.0))
    await asyncio.sleep(0)
    await api.submit(1, core_type="m1")
    await asyncio.sleep(0.01)

    api.now += 20
    await api.server.background.autoscaler.release_idle()

    assert (slot.dismissed, waiting.done()) == (False, False)


async def test_slots_in_an_image_of_another_account_are_not_requested(api: ApiHarness) -> None:
    """Whose image it is, is checked again when a burst is requested; the jobs wait."""
    pool = Pool(ACCOUNT, "c1", 1)
    api.scheduler.refusal = REFUSED
    await api.submit(1)
    await asyncio.sleep(0.01)
    api.scheduler.refusal = ""
    refusals = [RequestRefused("an image of another account")]

    async def check(checked: Pool) -> None:
        assert checked == pool
        if refusals:
            raise refusals.pop()

    autoscaler = SlotAutoscaler(api.server.context, api.scheduler, check)
    requested = []
    for _ in range(2):
        api.now += PATIENCE_S
        autoscaler.scale_up_if_needed(pool)
        await asyncio.gather(*autoscaler._checks)
        requested.append(len(api.scheduler.bursts))

    assert requested == [0, 1]


async def test_a_refused_burst_is_requested_again(api: ApiHarness) -> None:
    """When a machine with the core type is added, the jobs get slots."""
    api.scheduler.refusal = REFUSED
    await api.submit(1)
    await api.scale_up()
    assert api.scheduler.bursts == []

    api.scheduler.refusal = ""
    await api.scale_up()

    assert sum(burst.count for burst in api.scheduler.bursts) == 1


async def test_a_full_cluster_gets_no_further_requests(api: ApiHarness) -> None:
    """Slots that wait for a machine count as starting, however long they wait."""
    api.scheduler.full = FULL
    await api.submit(100)
    await api.scale_up()
    for _ in range(3):
        api.now += STARTING_S
        await api.scale_up()

    assert sum(burst.count for burst in api.scheduler.bursts) == 2


async def test_removed_slots_are_requested_again(api: ApiHarness) -> None:
    """If an operator stopped a burst that waited, another one is requested."""
    api.scheduler.full = FULL
    await api.submit(100)
    await api.scale_up()
    api.scheduler.places.clear()
    api.now += STARTING_S
    await api.scale_up()

    assert sum(burst.count for burst in api.scheduler.bursts) == 4
