"""When jobs that wait for jobs are a deadlock, and which of them is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.job import Cause
from picloud_model.pack import unseal

from tests.unit.api.blocked_slots import beats, blocked

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_jobs_that_wait_for_each_other_are_a_deadlock(api: ApiHarness) -> None:
    """If every slot is blocked and nothing can be leased, the newest blocked job ends in error."""
    jids = await api.submit(1)
    slot, awaiting = await blocked(api, 1)

    await beats(api, slot, [awaiting])

    outcome = (await api.outcomes(jids))[1]
    assert (outcome.status, outcome.cause) == ("error", Cause.DEADLOCK)
    assert outcome.payload is not None
    told = wire.decode(bytes(unseal(outcome.payload)), wire.Failure)
    assert told.message.startswith("deadlock: the job waits for job 1")


async def test_a_full_slot_is_a_deadlock_though_others_work(api: ApiHarness) -> None:
    """One that has set aside as many jobs as it can, and waits for a job that no slot runs."""
    await api.submit(33)
    slot = await api.slot()
    waits = []
    for number in range(32):
        (lease,) = (await api.work(slot)).leases
        held = wire.AttemptRef(lease.batch, lease.jobs[0].index, 1)
        waits.append(wire.BlockedOn(held, [(number + 2, number + 2)]))
    await api.submit(1)
    await api.slot()

    await beats(api, slot, waits)

    assert await api.statuses(range(31, 34)) == ["processing", "error", "queued"]


@pytest.mark.parametrize("why", ["timed", "works", "young"])
async def test_what_may_go_on_is_no_deadlock(api: ApiHarness, why: str) -> None:
    """A wait with a timeout, a slot that runs another job, and a recent wait are left alone."""
    jids = await api.submit(2)
    slot, awaiting = await blocked(api, 1, timed=why == "timed")
    if why == "works":
        await api.work(await api.slot())
    if why == "young":
        await api.server.background.deadlock.resolve()
    else:
        await beats(api, slot, [awaiting])

    assert "error" not in await api.statuses(jids)
