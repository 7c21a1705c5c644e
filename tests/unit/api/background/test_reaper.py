"""The reaper: slots that ended are removed, however their end is noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api.background.reaper import CHECK_EVERY_S, SLOT_TTL_S
from picloud_api.engine.jobs.fence import Blame
from picloud_api.store import layout
from picloud_driver.scheduler import SlotEnd
from picloud_driver.state import Put

from tests.unit.api.api_harness import ACCOUNT, RecordingScheduler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.records import Slot
    from picloud_driver.scheduler import SlotPresence

    from tests.unit.api.api_harness import ApiHarness


async def stored(api: ApiHarness, slot: SlotSession) -> bool:
    """Whether a slot is still in the state store."""
    return bool(await api.server.ports.state.get([layout.slot(slot.number)]))


async def removals(api: ApiHarness) -> None:
    """Wait for the removal of the slots that were found to have ended."""
    await asyncio.gather(*api.server.background.reaper._removals.values())


async def busy(api: ApiHarness) -> tuple[SlotSession, range]:
    """Return a slot that holds the only job."""
    jids = await api.submit(1)
    slot = await api.slot()
    assert (await api.work(slot)).leases
    return slot, jids


def slot_end(slot: SlotSession) -> SlotEnd:
    """Return the end of a slot that was killed."""
    return SlotEnd(burst=slot.slot.burst, place=slot.slot.place, clean=False)


async def test_slots_that_die_together_are_not_charged(api: ApiHarness) -> None:
    """Their jobs are leased again, and each only counts as lost with others."""
    api.now += 60
    await api.submit(2)
    slots = [await api.slot(), await api.slot()]
    leases = [(await api.work(slot)).leases[0] for slot in slots]
    for slot in slots:
        await api.scheduler.ends.put(slot_end(slot))
        await api.server.background.reaper.remove_ended()

    await removals(api)

    page = await api.server.context.commits.view.get(
        layout.page(layout.PageId(ACCOUNT, leases[0].batch, 0))
    )
    assert list(page.losses) == [0, 0]
    assert list(page.spared) == [Blame.UNCLEAR, Blame.UNCLEAR]


async def test_killed_jobs_of_a_dead_slot_end_at_once(api: ApiHarness) -> None:
    """Only the other jobs wait until it is known whether the slot died alone."""
    slot, jids = await busy(api)
    other, others = await busy(api)
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[-1])])
    for dead in (slot, other):
        await api.scheduler.ends.put(slot_end(dead))
        await api.server.background.reaper.remove_ended()

    outcomes = await api.outcomes(jids, timeout_s=1.0)

    assert [outcome.status for outcome in outcomes.values()] == ["killed"]
    assert await api.statuses(others) == ["queued"]
    await removals(api)


async def test_a_job_of_a_dead_slot_is_killed_at_once(api: ApiHarness) -> None:
    """A kill that comes while it is found out why the slot ended does not wait for its report."""
    slot, jids = await busy(api)
    other, others = await busy(api)
    await api.scheduler.ends.put(slot_end(slot))
    await api.server.background.reaper.remove_ended()

    assert (await api.use_cases.jobs.kill.kill(ACCOUNT, None)).count == 2

    assert await api.statuses(jids) == ["killed"]
    assert await api.statuses(others) == ["queued"]
    assert api.server.context.slot_sessions.ended == {slot.number}
    await api.server.background.reaper.stop()
    assert not api.server.context.slot_sessions.ended
    assert await stored(api, other)


async def test_a_reported_end_returns_the_leases(api: ApiHarness) -> None:
    """The scheduler knows first when a machine is gone."""
    slot, _ = await busy(api)
    await api.scheduler.ends.put(slot_end(slot))

    await api.server.background.reaper.remove_ended()
    await removals(api)

    assert not await stored(api, slot)
    assert (await api.work(await api.slot())).leases


async def test_a_slot_that_is_no_longer_running_is_removed(api: ApiHarness) -> None:
    """An end that was never reported is found by comparing."""
    slot, _ = await busy(api)
    other = await api.slot()
    del api.scheduler.places[slot.slot.place]

    await api.server.background.reaper.resync()

    await removals(api)
    assert not await stored(api, slot)
    assert await stored(api, other)
    assert (await api.work(other)).leases


async def test_a_slot_that_registers_during_a_comparison_is_kept(api: ApiHarness) -> None:
    """It is listed by neither side of the comparison, or runs where it is listed."""
    registered: list[SlotSession] = []
    listed = api.scheduler.slots

    class Registering(RecordingScheduler):
        async def slots(self) -> Sequence[SlotPresence]:
            running = await listed()
            registered.append(await api.slot())
            return running

    reaper = api.server.background.reaper
    reaper._scheduler = Registering()

    await reaper.resync()

    await removals(api)
    assert len(registered) == 1
    assert await stored(api, registered[0])


async def test_a_slot_of_another_process_is_removed_when_it_is_silent(api: ApiHarness) -> None:
    """Its record changes whenever it has called any of the processes."""
    slot, _ = await busy(api)
    api.server.context.slot_sessions.remove(slot.number)
    await api.server.background.reaper.resync()

    api.now += SLOT_TTL_S
    await api.server.background.reaper.resync()
    assert await stored(api, slot)
    api.now += 1
    await api.server.background.reaper.resync()
    await removals(api)

    assert not await stored(api, slot)


@pytest.mark.parametrize("skew_s", [-600, 600])
async def test_clocks_of_other_machines_may_differ(api: ApiHarness, skew_s: float) -> None:
    """A slot lives while its record changes, whatever time the process writes that changes it."""
    slot, _ = await busy(api)
    api.server.context.slot_sessions.remove(slot.number)

    for _ in range(10):
        api.now += SLOT_TTL_S / 2
        await write(api, msgspec.structs.replace(slot.slot, seen_at=api.now + skew_s))
        await api.server.background.reaper.resync()
        await removals(api)

    assert await stored(api, slot)


async def write(api: ApiHarness, record: Slot) -> None:
    """Write a slot's record as another process does."""
    put = Put(layout.slot(record.number), layout.encode(record))
    await api.server.ports.state.commit([put])


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

    await removals(api)
    assert not await stored(api, silent)
    assert await stored(api, waiting)


async def test_a_slot_that_talks_with_another_process_is_only_forgotten(api: ApiHarness) -> None:
    """Its record, which the other process writes, says that it lives."""
    slot, _ = await busy(api)
    await check(api, SLOT_TTL_S)
    await write(api, msgspec.structs.replace(slot.slot, seen_at=api.now))

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


@pytest.mark.parametrize("step_s", [-600, 600])
async def test_a_step_of_the_clock_makes_no_slot_silent(api: ApiHarness, step_s: float) -> None:
    """Slots that call live on, and a silent one is noticed as soon as without the step."""
    slot, _ = await busy(api)
    await check(api, 5)
    api.now += step_s
    await api.server.background.reaper.remove_silent()
    await check(api, SLOT_TTL_S)
    assert await stored(api, slot)

    await check(api, 1)

    await removals(api)
    assert not await stored(api, slot)


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
