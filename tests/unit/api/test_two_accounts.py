"""Two accounts on one server: no request of one changes a reply to the other."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import msgspec
from picloud_api.engine.scheduling.pool import pool_of
from picloud_driver.scheduler import Burst
from picloud_model import wire

from tests.unit.api.api_harness import ACCOUNT, hold, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession

    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def slot_of(api: ApiHarness, account: str) -> SlotSession:
    """Register a slot of an account."""
    burst = Burst(f"pc-{uuid.uuid4().hex}", pool_of(account, wire.Options()), 1)
    await api.scheduler.start(burst)
    granted = await api.use_cases.slots.slots.register(list(api.scheduler.places)[-1])
    return await api.use_cases.slots.slots.recognise(granted.token)


async def test_the_same_submit_id_makes_two_batches(api: ApiHarness) -> None:
    """A client that knows the submit id of another account can neither read that batch nor keep it
    from running, in any order of submits and ends.
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
        statuses = await api.use_cases.jobs.status.status(account, [(1, 2)], hold)
        assert [run.status for run in statuses.runs] == ["done"]


async def test_the_same_submit_id_waits_in_both(api: ApiHarness) -> None:
    """Jobs with dependencies start in both accounts, although their batches have the same id."""
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


async def test_run_times_of_one_account_do_not_affect_the_other(api: ApiHarness) -> None:
    """A slot that reports false run times of a function changes the leases of its account only."""
    request = api.request(1)
    await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"x" * 16)
    await asyncio.sleep(0)
    slot = await slot_of(api, ACCOUNT)
    (lease,) = (await api.work(slot)).leases
    report = report_of(lease)
    slow = [msgspec.structs.replace(job, started_at=0.0, finished_at=1e12) for job in report.ended]
    await api.work(slot, reports=[msgspec.structs.replace(report, ended=slow)], lease=False)

    run_times = api.server.context.run_times

    assert run_times.seconds((ACCOUNT, request.function.digest)) == 1e12
    assert run_times.seconds((OTHER, request.function.digest)) is None
