"""What every scheduler promises: who is believed, what runs, what ended, and when it is silent."""

import asyncio
import itertools
import os
import signal
import time

import pytest
from picloud_driver.scheduler import Burst, SchedulerPort, SlotPresence
from picloud_model.core import CORE_TYPES
from picloud_model.errors import SlotRefused, Unavailable

from tests.contract.scheduler_adapters import (
    LONG_S,
    POOL,
    Site,
    next_ends,
    places,
    start_and_die,
    started,
)
from tests.polling import eventually

ENDS_WITHIN_S = 15.0


# --- verify ---------------------------------------------------------------------------------------


async def test_forged_proofs_are_refused(slot_site: Site, scheduler: SchedulerPort) -> None:
    """What the scheduler has not made, or what was changed since, proves nothing."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)

    for forged in (
        "",
        "x",
        "a.b.c",
        "é",
        slot.proof[:-8],
        slot.proof + "A",
        *slot_site.forge(slot.proof),
    ):
        with pytest.raises(SlotRefused):
            await scheduler.verify(forged)


async def test_an_expired_proof_is_refused(slot_site: Site, scheduler: SchedulerPort) -> None:
    """A proof past its time is worth nothing, though its slot lives."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)

    with pytest.raises(SlotRefused):
        await scheduler.verify(slot_site.expire(slot.proof))


async def test_a_proof_ends_with_its_place(slot_site: Site, scheduler: SchedulerPort) -> None:
    """The proof of a place is refused as soon as the scheduler can know of its end."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)
    slot.kill()

    async def refused() -> bool:
        try:
            await scheduler.verify(slot.proof)
        except SlotRefused:
            return True
        return False

    await eventually(refused, "its proof is refused", slot_site.reports_within_s)
    await next_ends(scheduler)
    later = slot_site.open()
    with pytest.raises(SlotRefused):
        await later.verify(slot.proof)
    await later.close()


# --- slots and ended --------------------------------------------------------------------------


async def test_slots_are_what_runs(slot_site: Site, scheduler: SchedulerPort) -> None:
    """Every place that runs is listed with its burst, and no place that has ended."""
    kept, ended = await started(scheduler, "pc-1", 2)
    await slot_site.slot(kept)
    (await slot_site.slot(ended)).give("exit 0")
    await next_ends(scheduler)

    async def listed() -> bool:
        return list(await scheduler.slots()) == [SlotPresence("pc-1", kept, running=True)]

    await eventually(listed, "what runs is listed", slot_site.reports_within_s)


async def test_a_killed_slot_is_reported_soon(slot_site: Site, scheduler: SchedulerPort) -> None:
    """The end of a slot killed by SIGKILL is returned soon, and is not clean."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)
    waiting = asyncio.create_task(next_ends(scheduler))
    await asyncio.sleep(0)
    killed = time.monotonic()
    os.kill(slot.pid, signal.SIGKILL)

    [end] = await waiting

    assert time.monotonic() - killed < ENDS_WITHIN_S
    assert (end.burst, end.place, end.clean) == ("pc-1", place, False)
    assert "signal 9" in end.detail


@pytest.mark.parametrize("status", [0, 1, 3])
async def test_clean_is_exit_status_0(
    slot_site: Site, scheduler: SchedulerPort, status: int
) -> None:
    """A slot that exits with 0 ended clean; any other status is not clean and in `detail`."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)
    await slot.carry_out("say the last words")
    slot.give(f"exit {status}")

    [end] = await next_ends(scheduler)

    assert end.clean is (status == 0)
    assert (f"exit status {status}" in end.detail) is (status != 0)
    assert ("the last words" in end.detail) is (status != 0)


async def test_no_end_in_time_is_an_empty_answer(scheduler: SchedulerPort) -> None:
    """While nothing ends, `ended` returns [] after its timeout, not before."""
    await started(scheduler)
    began = time.monotonic()

    assert list(await scheduler.ended(0.2)) == []
    assert 0.2 <= time.monotonic() - began < ENDS_WITHIN_S


async def test_each_end_is_returned_once(slot_site: Site, scheduler: SchedulerPort) -> None:
    """Of several concurrent waiters, one gets each end."""
    found = await started(scheduler, "pc-1", 4)
    slots = [await slot_site.slot(place) for place in found]
    waiting = [asyncio.create_task(scheduler.ended(2.0)) for _ in range(3)]
    for slot in slots:
        slot.give("exit 0")

    answers = itertools.chain(*await asyncio.gather(*waiting))
    rest = await scheduler.ended(0.1)

    assert sorted(end.place for end in (*answers, *rest)) == sorted(found)


async def test_an_end_is_not_lost_by_giving_up(slot_site: Site, scheduler: SchedulerPort) -> None:
    """A waiter that is cancelled takes no end with it."""
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)
    waiting = asyncio.create_task(scheduler.ended(LONG_S))
    await asyncio.sleep(0)

    waiting.cancel()
    await asyncio.wait([waiting])
    slot.give("exit 0")

    assert [end.place for end in await next_ends(scheduler)] == [place]


async def test_an_end_is_returned_again_after_a_crash(
    slot_site: Site, scheduler: SchedulerPort
) -> None:
    """An end is returned to the next server if the first may have died with it."""
    first, second = await started(scheduler, "pc-1", 2)
    (await slot_site.slot(first)).give("exit 0")
    await next_ends(scheduler)
    (await slot_site.slot(second)).give("exit 0")
    await next_ends(scheduler)

    later = slot_site.open()
    again = sorted([first, second]) if slot_site.reports_ends_again else [second]

    assert [end.place for end in await next_ends(later, len(again))] == again
    await later.close()


async def test_an_end_without_a_server_is_reported(slot_site: Site) -> None:
    """A slot that ended while no server ran is reported to the next one, as not clean."""
    start_and_die(slot_site, Burst("pc-1", POOL, 1))
    [slot] = slot_site.slots()
    slot.kill()
    later = slot_site.open()

    [end] = await next_ends(later)

    assert (end.burst, end.clean) == ("pc-1", False)
    assert await later.slots() == []
    await later.close()


# --- the rest -------------------------------------------------------------------------------------


async def test_capacity_is_that_of_the_machine(scheduler: SchedulerPort) -> None:
    """Each core type there is has room for slots, another has none."""
    assert all([await scheduler.capacity(core_type) > 0 for core_type in CORE_TYPES])
    assert await scheduler.capacity("c9") == 0


async def test_ping_answers(scheduler: SchedulerPort) -> None:
    """`ping` returns while slots can be started."""
    await scheduler.ping()


async def test_slots_go_on_after_close(slot_site: Site) -> None:
    """`close` ends no slot; another server finds it."""
    scheduler = slot_site.open()
    [place] = await started(scheduler)
    slot = await slot_site.slot(place)

    await scheduler.close()
    later = slot_site.open()

    assert slot.is_running
    assert await places(later, "pc-1") == [place]
    await later.close()


async def test_a_scheduler_that_cannot_answer_is_unavailable(
    slot_site: Site, scheduler: SchedulerPort
) -> None:
    """Every method that needs what is gone raises `Unavailable`."""
    [place] = await started(scheduler)
    await slot_site.slot(place)

    slot_site.make_unavailable()

    with pytest.raises(Unavailable):
        await scheduler.start(Burst("pc-2", POOL, 1))
    with pytest.raises(Unavailable):
        await scheduler.stop("pc-1")
    with pytest.raises(Unavailable):
        await scheduler.slots()
    with pytest.raises(Unavailable):
        await scheduler.ended(0)
    with pytest.raises(Unavailable):
        await scheduler.ping()
