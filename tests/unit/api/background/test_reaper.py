"""The reaper: slots that ended are removed, however their end is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_api.background.reaper import CHECK_EVERY_S, SLOT_TTL_S
from picloud_api.store import layout
from picloud_driver.scheduler import SlotEnd
from picloud_driver.state import Put

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness


async def stored(api: ApiHarness, slot: SlotSession) -> bool:
    """Whether a slot is still in the state store."""
    return bool(await api.server.ports.state.get([layout.slot(slot.number)]))


async def busy(api: ApiHarness) -> tuple[SlotSession, range]:
    """Return a slot that holds the only job."""
    jids = await api.submit(1)
    slot = await api.slot()
    assert (await api.work(slot)).leases
    return slot, jids


async def test_a_reported_end_returns_the_leases(api: ApiHarness) -> None:
    """The scheduler knows first when a machine is gone."""
    slot, _ = await busy(api)
    await api.scheduler.ends.put(SlotEnd(slot.slot.burst, slot.slot.place, clean=False))

    await api.server.background.reaper.remove_ended()

    assert not await stored(api, slot)
    assert (await api.work(await api.slot())).leases


async def test_a_slot_that_is_no_longer_running_is_removed(api: ApiHarness) -> None:
    """An end that was never reported is found by comparing."""
    slot, _ = await busy(api)
    other = await api.slot()
    del api.scheduler.places[slot.slot.place]

    await api.server.background.reaper.resync()

    assert not await stored(api, slot)
    assert await stored(api, other)
    assert (await api.work(other)).leases


async def test_a_slot_of_another_process_is_removed_when_it_is_silent(api: ApiHarness) -> None:
    """Its record says when it last called any of the processes."""
    slot, _ = await busy(api)
    api.server.context.slot_sessions.remove(slot.number)

    api.now += SLOT_TTL_S
    await api.server.background.reaper.resync()
    assert await stored(api, slot)
    api.now += 1
    await api.server.background.reaper.resync()

    assert not await stored(api, slot)


async def check(api: ApiHarness, seconds: float) -> None:
    """Check for silent slots every second for some time."""
    end = api.now + seconds
    while api.now < end:
        api.now += CHECK_EVERY_S
        await api.server.background.reaper.remove_silent()


async def test_a_silent_slot_is_removed(api: ApiHarness) -> None:
    """One that waits for work is not silent: its request is here."""
    silent, _ = await busy(api)
    waiting = await api.slot()
    with api.server.context.slot_sessions.waiting(waiting):
        await check(api, SLOT_TTL_S)
        assert await stored(api, silent)

        await check(api, 1)

    assert not await stored(api, silent)
    assert await stored(api, waiting)


async def test_a_slot_that_talks_with_another_process_is_only_forgotten(api: ApiHarness) -> None:
    """Its record, which the other process writes, says that it lives."""
    slot, _ = await busy(api)
    await check(api, SLOT_TTL_S)
    record = msgspec.structs.replace(slot.slot, seen_at=api.now)
    await api.server.ports.state.commit([Put(layout.slot(slot.number), layout.encode(record))])

    await check(api, 1)

    assert await stored(api, slot)
    assert api.server.context.slot_sessions.get(slot.number) is None


async def test_slots_are_not_silent_while_the_server_is_suspended(api: ApiHarness) -> None:
    """A laptop that slept for an hour has received nothing: the slots' time begins anew."""
    slot, _ = await busy(api)
    api.now += 3600

    await api.server.background.reaper.remove_silent()

    assert await stored(api, slot)
    assert slot.seen_at == api.now


async def test_slots_that_outlive_the_server_are_adopted(api: ApiHarness) -> None:
    """They count as live before they call, so that no others are started in their place."""
    slot, _ = await busy(api)
    gone = await api.slot()
    del api.scheduler.places[gone.slot.place]
    await api.stop()
    await api.start()

    await api.server.background.reaper.adopt()

    assert api.server.context.slot_sessions.get(slot.number) is not None
    assert api.server.context.slot_sessions.get(gone.number) is None
