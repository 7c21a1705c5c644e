"""Statements of an account: they are made from the runtimes of its jobs."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from picloud_api.usecases.accounts.price import PriceList
from picloud_model.wire.grant import GrantRequest

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.budgets import HOUR, OWNER, put, run, spent
from tests.unit.api.usecases.accounts.histories import HISTORIES, Ledger, happen

if TYPE_CHECKING:
    from picloud_model.wire.statement import Statement


async def _grant(api: ApiHarness, amount: float) -> None:
    request = GrantRequest(request_id="0" * 32, account=ACCOUNT, until="1970-12-31", dollars=amount)
    await api.use_cases.accounts.grants.grant(OWNER, request)


async def _statement(api: ApiHarness) -> Statement:
    found = await api.use_cases.accounts.statements.latest(ACCOUNT)
    assert found is not None
    (month,) = found.months
    return month


async def test_free_hours_then_a_grant_then_money(api: ApiHarness) -> None:
    """Budgets count what is used, also if it is free or granted."""
    await put(api, 100.0, action="warn")
    await _grant(api, 0.1)
    await run(api, 25 * HOUR)

    month = await _statement(api)

    assert (month.month, month.used, month.free) == ("1970-01", 1.0, 0.8)
    assert (month.granted, month.to_pay) == (0.1, pytest.approx(0.1))
    assert await spent(api) == [1.0]


async def test_nothing_is_free_if_the_operator_says_so(api: ApiHarness) -> None:
    """From the month on that follows the change."""
    await api.use_cases.accounts.prices.change(PriceList(dollars_per_hour={"c1": 1.0}, free={}))
    api.now += 40 * 24 * HOUR
    await run(api, HOUR)

    month = await _statement(api)

    assert (month.month, month.free, month.to_pay) == ("1970-02", 0.0, 1.0)


@settings(max_examples=8, deadline=None)
@given(HISTORIES)
def test_what_is_used_is_what_jobs_cost(history: list[tuple[object, ...]]) -> None:
    """Over kills, deletions, other prices and restarts: free, granted and to pay add up to it."""

    async def live() -> None:
        with tempfile.TemporaryDirectory() as root:
            api = await ApiHarness(Path(root)).start()
            await _grant(api, 0.5)
            ledger = Ledger(api)
            for event in history:
                await happen(ledger, event)
            await ledger.read()
            found = await api.use_cases.accounts.statements.latest(ACCOUNT)
            assert found is not None
            used = sum(each.used for each in found.months)
            assert used == pytest.approx(sum(ledger.costs.values()), rel=1e-9)
            paid = sum(each.free + each.granted + each.to_pay for each in found.months)
            assert paid == pytest.approx(used, rel=1e-9)
            assert found.grants[0].left == pytest.approx(
                0.5 - sum(each.granted for each in found.months)
            )
            await api.stop()

    asyncio.run(live())
