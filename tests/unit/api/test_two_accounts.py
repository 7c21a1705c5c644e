"""Two accounts on one server: nothing one of them does changes what the other gets."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import msgspec
from picloud_api.engine.scheduling.pool import pool_of
from picloud_driver.scheduler import Burst
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def slot_of(api: ApiHarness, account: str) -> SlotSession:
    """A slot of an account."""
    burst = Burst(f"pc-{uuid.uuid4().hex}", pool_of(account, wire.Options()), 1)
    await api.scheduler.start(burst)
    granted = await api.use_cases.slots.slots.register(list(api.scheduler.places)[-1])
    return await api.use_cases.slots.slots.recognise(granted.token)


async def test_the_same_submit_id_makes_two_batches(api: ApiHarness) -> None:
    """Who knows or guesses another's submit id neither reads that batch nor keeps it from running,
    whoever came first and whoever is done first.
    """
    request = api.request(2)
    made = [
        await api.use_cases.jobs.submit.submit(account, request, b"x" * 16)
        for account in (ACCOUNT, OTHER)
    ]
    assert [(each.first, each.count) for each in made] == [(1, 2), (1, 2)]
    await asyncio.sleep(0)

    for account in (OTHER, ACCOUNT):
        slot = await slot_of(api, account)
        for _ in range(2):
            (lease,) = (await api.work(slot)).leases
            assert len(lease.jobs) >= 1
            await api.work(slot, reports=[report_of(lease)], lease=False)
        told = await api.use_cases.jobs.status.status(account, [(1, 2)])
        assert [run.status for run in told.runs] == ["done"]


async def test_the_same_submit_id_waits_in_both(api: ApiHarness) -> None:
    """Jobs with dependencies begin in both accounts, although their batches have the same id."""
    last = api.request(1)
    waiting = msgspec.structs.replace(api.request(1), depends_on=[(1, 1)])
    for account in (ACCOUNT, OTHER):
        await api.use_cases.jobs.submit.submit(account, last, b"x" * 16)
        await api.use_cases.jobs.submit.submit(account, waiting, b"y" * 16)
    await api.server.background.recovery.recover()

    for account in (OTHER, ACCOUNT):
        slot = await slot_of(api, account)
        for jid in (1, 2):
            answer = await api.work(slot, wait_s=5.0)
            (lease,) = answer.leases
            assert lease.first == jid
            await api.work(slot, reports=[report_of(lease)], lease=False)


async def test_what_one_reports_is_no_hint_for_the_other(api: ApiHarness) -> None:
    """The same function, measured by a slot that lies: the other account's leases do not shrink."""
    request = api.request(1)
    await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"x" * 16)
    await asyncio.sleep(0)
    slot = await slot_of(api, ACCOUNT)
    (lease,) = (await api.work(slot)).leases
    report = report_of(lease)
    slow = [msgspec.structs.replace(job, started_at=0.0, finished_at=1e12) for job in report.ended]
    await api.work(slot, reports=[msgspec.structs.replace(report, ended=slow)], lease=False)

    pace = api.server.context.run_times

    assert pace.seconds((ACCOUNT, request.function.digest)) == 1e12
    assert pace.seconds((OTHER, request.function.digest)) is None
