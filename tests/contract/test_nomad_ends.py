"""What the adapter `nomad` hears of, whatever happens to Nomad, and what is left of it there."""

import asyncio
import contextlib
import os
import signal
import time
from functools import partial

import pytest
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.scheduler import SlotEnd
from picloud_driver.scheduler.nomad.ended_allocations import FORGET_S
from picloud_driver.scheduler.nomad.scheduler import NomadScheduler
from picloud_model.errors import Unavailable

from tests.contract.nomad_site import NomadSite, revive
from tests.contract.scheduler_adapters import next_ends, started
from tests.polling import eventually
from tests.servers import running

#: An agent that was restarted polls the executors it finds, once a second, for two seconds.
EXECUTOR_S = 15.0
#: Well before all allocations are looked at anyway.
AGAIN_S = 30.0


async def test_ends_are_told_after_nomad_was_killed(
    nomad_server: running.Nomad, nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """Slots keep running without Nomad's agent; ends during and after its absence are reported."""
    first, second = sorted(await started(nomad, "pc-1", 2))
    slots = [await nomad_site.slot(place) for place in (first, second)]
    assert list(await nomad.ended(0)) == []

    nomad_site.make_unavailable()
    with pytest.raises(Unavailable):
        await nomad.ended(5.0)
    survived = [slot.is_running for slot in slots]
    slots[0].kill()
    await asyncio.to_thread(revive, nomad_server)
    heard: list[SlotEnd] = []
    await eventually(partial(_hears, nomad, heard), "ends are reported again", AGAIN_S)
    during = heard.pop() if heard else await _next_end(nomad)
    await eventually(partial(_hears, nomad, heard), "ends are waited for again", AGAIN_S)
    os.kill(slots[1].pid, signal.SIGKILL)
    killed = time.monotonic()
    after = await _next_end(nomad)
    took_s = time.monotonic() - killed

    assert (survived, heard) == ([True, True], [])
    assert (during.place, after.place) == (first, second)
    assert (during.clean, after.clean) == (False, False)
    assert took_s < nomad_site.reports_within_s + EXECUTOR_S


async def _hears(nomad: NomadScheduler, heard: list[SlotEnd]) -> bool:
    """Whether ends can be waited for; takes those that there are."""
    try:
        heard += await nomad.ended(0)
    except Unavailable:
        return False
    return True


async def _next_end(nomad: NomadScheduler) -> SlotEnd:
    """The next end, whatever Nomad's absence makes `ended` raise until then."""
    async with asyncio.timeout(30.0):
        while True:
            with contextlib.suppress(Unavailable):
                return (await next_ends(nomad))[0]
            await asyncio.sleep(0.1)


async def test_ends_are_found_without_events(nomad_site: NomadSite) -> None:
    """An end without an event is found in the list of all allocations."""
    nomad = nomad_site.open()
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)
    await nomad.ended(0)
    follower = nomad._ends._follower
    assert follower is not None
    await asyncio.to_thread(follower.close)
    slot.kill()

    async def told() -> bool:
        await nomad._ends.resync()
        return [end.place for end in await nomad.ended(0.05)] == [place]

    await eventually(told, "the end is reported")
    await nomad.close()


async def test_every_process_hears_of_every_end(
    nomad_site: NomadSite, nomad: NomadScheduler
) -> None:
    """Each server process has its own waiters, so each gets the end."""
    other = nomad_site.open()
    [place] = await started(nomad)
    slot = await nomad_site.slot(place)

    slot.give("exit 0")

    heard = [[end.place for end in await next_ends(port)] for port in (nomad, other)]
    assert heard == [[place], [place]]
    await other.close()


async def test_bursts_that_are_over_are_forgotten(
    nomad_site: NomadSite, nomad: NomadScheduler, nomad_gateway: NomadGateway
) -> None:
    """Nomad keeps a burst for ten minutes after its last slot, then it is purged; others stay."""
    [place] = await started(nomad, "pc-1")
    await started(nomad, "pc-2")
    (await nomad_site.slot(place)).give("exit 0")
    await next_ends(nomad)

    async def over() -> bool:
        await nomad._ends.resync()
        return any(job.status == "dead" for job in nomad_gateway.jobs("pc-"))

    await eventually(over, "Nomad sees that the burst is over")
    await nomad._ends.resync()
    nomad_site.late_s = FORGET_S - 60
    await nomad._ends.resync()
    before = [job.id for job in nomad_gateway.jobs("pc-")]
    nomad_site.late_s = FORGET_S + 60
    await nomad._ends.resync()

    assert before == ["pc-1", "pc-2"]
    assert [job.id for job in nomad_gateway.jobs("pc-")] == ["pc-2"]
