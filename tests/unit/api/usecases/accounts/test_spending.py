"""Spending: it equals what jobs cost to the millisecond, read piece by piece or anew."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from picloud_model.errors import BudgetReached
from picloud_model.wire.budget import RemoveBudgetRequest
from picloud_model.wire.usage import JobUsageRequest, dollars

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.budgets import HOUR, OWNER, begin, put, run, spent
from tests.unit.api.finished_jobs import delete_jobs, seal_all
from tests.unit.api.usecases.accounts.histories import HISTORIES, Ledger, happen

if TYPE_CHECKING:
    from picloud_model.wire.usage import JobUsageRow


async def _spent(api: ApiHarness) -> dict[str, float]:
    """Return what is spent of each budget, by its label or period."""
    listed = await api.use_cases.accounts.budgets.of(ACCOUNT)
    return {each.label or each.period: each.spent for each in listed}


def _cost(rows: list[JobUsageRow], *labels: str) -> float:
    chosen = [row for row in rows if row.group in labels]
    return dollars([(row.dollars_per_hour or 0.0, row.core_ms) for row in chosen])


@settings(max_examples=8, deadline=None)
@given(HISTORIES)
def test_what_is_spent_is_what_jobs_cost(history: list[tuple[object, ...]]) -> None:
    """Read after each change or anew: killed and deleted jobs count, as in the usage."""

    async def live() -> None:
        with tempfile.TemporaryDirectory() as root:
            api = await ApiHarness(Path(root)).start()
            await put(api, 1e9, action="warn")
            await put(api, 1e9, action="warn", label="a")
            await put(api, 1e9, action="warn", period="month")
            ledger = Ledger(api)
            for event in history:
                await happen(ledger, event)
                await _spent(api)
            usage = api.use_cases.accounts.job_usage
            rows = (await usage.read(ACCOUNT, JobUsageRequest(by="label"))).rows

            all_jobs = _cost(rows, "", "a", "b")
            expected = {"total": all_jobs, "month": all_jobs, "a": _cost(rows, "a")}
            assert await _spent(api) == expected
            await api.stop()
            await api.start()
            assert await _spent(api) == expected
            await api.stop()

    asyncio.run(live())


async def test_it_is_the_same_after_kill_nine_and_delete(api: ApiHarness) -> None:
    """What was spent is not written: it is read from the records of jobs, also of deleted ones."""
    await put(api, 0.12, period="month")
    jids = await run(api, HOUR)
    await run(api, HOUR)
    await delete_jobs(api, *jids)
    await seal_all(api)

    await api.stop()
    await api.start()

    assert await spent(api) == [0.08]
    await run(api, HOUR)
    with pytest.raises(BudgetReached):
        await api.submit(1)


async def test_a_total_counts_from_when_it_was_first_set(api: ApiHarness) -> None:
    """A changed amount keeps what is spent; without the budget and set anew, it begins at 0."""
    await run(api, HOUR)
    api.now += 10
    await put(api, 0.04)
    await run(api, HOUR / 2)
    assert (await put(api, 0.05)).spent == 0.02
    api.now += 10
    await api.use_cases.accounts.budgets.remove(OWNER, RemoveBudgetRequest(period="total"))
    assert await api.use_cases.accounts.budgets.of(ACCOUNT) == []

    assert (await put(api, 0.04)).spent == 0.0


async def test_a_forced_kill_charges_what_ran(api: ApiHarness) -> None:
    """A job whose slot does not report its kill in time has run until then."""
    await put(api, 1)
    jids = await begin(api)
    api.now += HOUR

    await api.use_cases.jobs.kill.kill(ACCOUNT, [(jids[0], jids[0])])

    await api.wait_until(lambda: api.statuses(jids), ["killed"])
    assert await spent(api) == [0.04]
