"""Budgets that tests set, and jobs that cost what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_api.usecases.accounts.account import Holder
from picloud_model.wire import AttemptRef, HeartbeatRequest
from picloud_model.wire.budget import BudgetAction, BudgetPeriod, ListedBudget, SetBudgetRequest

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OWNER: Final = Holder(ACCOUNT, "0" * 12)
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


async def put(
    api: ApiHarness,
    amount: float,
    *,
    period: BudgetPeriod = "total",
    action: BudgetAction = "refuse",
    label: str | None = None,
    account: str | None = None,
    holder: Holder = OWNER,
) -> ListedBudget:
    """Set a budget."""
    request = SetBudgetRequest(
        dollars=amount, period=period, action=action, label=label, account=account
    )
    return (await api.use_cases.accounts.budgets.set(holder, request)).budget


async def spent(api: ApiHarness) -> list[float]:
    """Return what is spent of each budget, in the order of the list."""
    return [each.spent for each in await api.use_cases.accounts.budgets.of(ACCOUNT)]


async def run(api: ApiHarness, seconds: float, **options: object) -> range:
    """Submit a job on a c1, which costs 4 cents an hour, and let it run for some time."""
    jids = await api.submit(1, **options)
    slot = await api.slot()
    for lease in (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease, seconds=seconds)], lease=False)
    await spent(api)
    return jids


async def begin(api: ApiHarness, **options: object) -> range:
    """Submit a job, and let its slot report that it runs."""
    jids = await api.submit(1, **options)
    slot = await api.slot()
    running = [
        AttemptRef(lease.batch, job.index, job.attempt)
        for lease in (await api.work(slot)).leases
        for job in lease.jobs
    ]
    heartbeat = HeartbeatRequest(running=running, wait_s=0.0)
    await api.use_cases.slots.heartbeat.heartbeat(slot, heartbeat)
    return jids


async def keep(api: ApiHarness) -> None:
    """Let the keeper act on what was spent by now."""
    await spent(api)  # read in any case: the keeper may rest after a long read
    await api.server.background.budget_keeper.keep()
