"""A cluster of 100 machines and 8,000 slots: what it costs to keep it as it should be."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.store import layout
from picloud_api.store.records import Slot
from picloud_api.usecases.accounts.slot_token import slot_number
from picloud_driver.nomad.client import NomadAccess
from picloud_driver.scheduler.nomad.scheduler import NomadScheduler
from picloud_jobspecs.render import SlotSite
from picloud_model import wire

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, ApiHarness, pool_of
from tests.unit.api.many_machines import many_machines
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from picloud_api.store.draft import Draft

    from tests.unit.api.many_machines import ManyMachines

MACHINES: Final = 100
SLOTS: Final = 8_000
ROUND_S: Final = 1.0
"""How much processor time a round may take."""
BURSTS: Final = 80


@pytest.fixture
def nomad() -> Iterator[ManyMachines]:
    """A Nomad with machines for all slots."""
    with many_machines(MACHINES, SLOTS // MACHINES) as running:
        yield running


@pytest.fixture
async def api(tmp_path: Path, nomad: ManyMachines) -> AsyncIterator[ApiHarness]:
    """A server whose slots that Nomad runs, and whose state other servers share."""
    made = ApiHarness(tmp_path, SharedRecordingState)
    made.scheduler = NomadScheduler(NomadAccess(nomad.url), SlotSite(url="http://api"))  # type: ignore[assignment]
    await made.start()
    yield made
    await made.stop()
    await made.scheduler.close()


async def run_slots(api: ApiHarness, nomad: ManyMachines) -> None:
    """Let all slots run, and let half of them talk with this server."""
    pool = pool_of(ACCOUNT, wire.Options())
    places = {
        f"{number:08x}-0000-4000-8000-000000000000": f"pc-{ACCOUNT}-{number % BURSTS:012d}-00000000"
        for number in range(SLOTS)
    }
    slots = [
        Slot(
            number=slot_number(place),
            pool=pool,
            burst=burst,
            place=place,
            started_at=api.now,
            seen_at=api.now,
        )
        for place, burst in places.items()
    ]
    for first in range(0, SLOTS, 1000):

        async def plan(draft: Draft, chosen: list[Slot] = slots[first : first + 1000]) -> None:
            for slot in chosen:
                draft.put(layout.slot(slot.number), slot)

        await api.server.context.commits.run(plan)
    for slot in slots[::2]:
        api.server.context.slot_sessions.add(SlotSession(slot, api.now))
    nomad.run(places)


async def test_a_round_in_which_nothing_changes(api: ApiHarness, nomad: ManyMachines) -> None:
    """It lists the slots once and changes nothing, in less than a second of processor time."""
    background = api.server.background
    await run_slots(api, nomad)
    await api.server.ports.scheduler.capacity("c1")
    nomad.requests.clear()
    api.state.commits.clear()

    began_s = time.process_time()
    await background.reaper.resync()
    await background.autoscaler.adjust()
    await background.reaper.remove_silent()
    spent_s = time.process_time() - began_s

    assert Counter(nomad.requests) == {"GET /v1/jobs": 1, "GET /v1/allocations": 1}
    assert api.state.commits == []
    assert background.reaper._removals == {}
    assert spent_s < ROUND_S


async def test_slots_for_all_machines_are_one_burst(api: ApiHarness, nomad: ManyMachines) -> None:
    """However many are wanted: one job of Nomad's, of which each machine is looked at once."""
    await api.submit(SLOTS + 1)
    await eventually(lambda: bool(nomad.registered), "slots are requested")

    began_s = time.process_time()
    await api.server.background.autoscaler.adjust()
    spent_s = time.process_time() - began_s

    (burst,) = nomad.registered
    assert burst["TaskGroups"][0]["Count"] == SLOTS
    looked = Counter(request.partition("/node/")[0] for request in nomad.requests)
    assert looked["GET /v1"] == MACHINES
    assert looked["POST /v1/jobs"] == 1
    assert spent_s < ROUND_S


async def test_the_end_of_half_of_the_slots_is_found(api: ApiHarness, nomad: ManyMachines) -> None:
    """Of machines that are lost at once: their slots are removed, and no other ones."""
    await run_slots(api, nomad)
    stored = await api.server.context.commits.view.scan(Slot.prefix)
    kept = {each.place: each.burst for each in list(stored.values())[::2]}
    nomad.run(kept)

    began_s = time.process_time()
    await api.server.background.reaper.resync()
    spent_s = time.process_time() - began_s

    lost = {slot_number(each.place) for each in stored.values() if each.place not in kept}
    assert {*api.server.background.reaper._removals} == lost
    assert spent_s < ROUND_S
