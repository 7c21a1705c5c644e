"""Budgets: what they count, what they refuse, kill and say, whatever happens to server and jobs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind
from picloud_api.usecases.accounts.account import FIRST_ACCOUNT, Holder
from picloud_api.usecases.accounts.price import PriceList
from picloud_api.usecases.accounts.spending import BudgetRecord
from picloud_driver.state import Put
from picloud_model.errors import (
    AdministratorsOnly,
    BudgetNotFound,
    BudgetReached,
    NotFound,
    RequestConflict,
)
from picloud_model.wire import AccountRequest
from picloud_model.wire.budget import (
    MAX_BUDGETS,
    RemoveBudgetRequest,
)

from tests.unit.api.api_harness import ACCOUNT, ApiHarness
from tests.unit.api.budgets import HOUR, OWNER, put, run
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from tests.unit.api.conftest import StartApi


async def test_new_work_is_refused_when_nothing_is_left(api: ApiHarness) -> None:
    """The error says of what how much is spent, and what to do; a larger budget lets jobs in."""
    await put(api, 0.04, period="day", label="train")
    await run(api, HOUR, label="train")

    with pytest.raises(BudgetReached) as refused:
        await api.submit(1, label="train")

    assert refused.value.message == (
        "The budget of $0.04 a day for the label 'train' is reached: $0.04 is spent; raise it with "
        "`picloud budget set`, or submit again in the next day (UTC)."
    )
    assert len(await api.submit(1, label="other")) == 1
    assert len(await api.submit(1)) == 1
    await put(api, 0.05, period="day", label="train")
    assert len(await api.submit(1, label="train")) == 1


async def test_a_repeated_submit_is_not_refused(api: ApiHarness) -> None:
    """Its jobs exist: the same request gets their jids, whatever is spent since then."""
    await put(api, 0.04)
    request = api.request(1)
    jids = await api.send(request)
    await put(api, 0.0)

    assert await api.send(request) == jids
    with pytest.raises(BudgetReached):
        await api.submit(1)


async def test_little_left_is_said_before(api: ApiHarness) -> None:
    """From 80 % on, in the answer to a submit; a budget that warns goes on doing so."""
    await put(api, 0.10, action="warn")
    notices = []
    for seconds in (HOUR, 1.1 * HOUR, HOUR):
        await run(api, seconds)
        request = api.request(1)
        answer = await api.use_cases.jobs.submit.submit(ACCOUNT, request, b"0" * 16)
        notices.append(answer.notice)

    assert notices == [
        "",
        "$0.084 of the budget of $0.10 in all is spent; $0.016 is left.",
        "The budget of $0.10 in all is reached: $0.12 is spent; it does not stop jobs.",
    ]


async def test_jobs_without_a_price_cannot_be_counted(api: ApiHarness) -> None:
    """A budget that stops jobs refuses them, one that warns does not."""
    await api.use_cases.accounts.prices.change(PriceList(dollars_per_hour={"c1": 0.04}))
    await api.use_cases.accounts.budgets.reload()
    await put(api, 5, period="month", action="warn")
    assert len(await api.submit(1, core_type="f2")) == 1
    await put(api, 5, period="month")

    with pytest.raises(BudgetReached, match=r"Jobs on f2 have no price, so the budget of \$5.00"):
        await api.submit(1, core_type="f2")

    assert len(await api.submit(1)) == 1


async def test_a_budget_of_zero_stops_all(api: ApiHarness) -> None:
    """It is reached from the beginning."""
    await put(api, 0)

    with pytest.raises(BudgetReached, match="in all is reached"):
        await api.submit(1)


async def test_the_operator_caps_accounts(api: ApiHarness) -> None:
    """Administrators set and remove caps of accounts that exist; owners see them, but keep them."""
    budgets = api.use_cases.accounts.budgets
    made = await api.use_cases.accounts.keys.create_account(
        Holder(FIRST_ACCOUNT, "0" * 12), AccountRequest(request_id=uuid.uuid4().hex, name="other")
    )
    other = Holder(made.account, "1" * 12)
    await put(api, 3, account=made.account)
    await put(api, 5, holder=other)

    listed = await budgets.of(made.account)
    assert [(each.dollars, each.is_cap) for each in listed] == [(3, True), (5, False)]
    await budgets.remove(other, RemoveBudgetRequest(period="total"))
    with pytest.raises(BudgetNotFound, match="the operator of the server has set that one"):
        await budgets.remove(other, RemoveBudgetRequest(period="total"))
    for refused in (made.account, ACCOUNT, "a9999999"):
        with pytest.raises(AdministratorsOnly):
            await put(api, 3, account=refused, holder=other)
    with pytest.raises(NotFound, match="no account 'a9999999'"):
        await put(api, 3, account="a9999999")
    await budgets.remove(OWNER, RemoveBudgetRequest(period="total", account=made.account))
    assert await budgets.of(made.account) == []
    assert await budgets.of(ACCOUNT) == []


async def test_budgets_are_limited_in_number(api: ApiHarness) -> None:
    """Each label may have one; the one too many is refused, and a change of one is not."""
    for number in range(MAX_BUDGETS):
        await put(api, 1, label=f"label {number}")

    with pytest.raises(RequestConflict, match="remove one"):
        await put(api, 1)

    assert (await put(api, 2, label="label 7")).dollars == 2


async def test_the_check_of_a_submit_reads_nothing(api: ApiHarness) -> None:
    """What is left is in memory: a submit has the same operations with budgets as without."""

    async def operations() -> tuple[int, int, int]:
        """Submit a job; return how many transactions, reads and scans that took."""
        state = api.state
        before = len(state.commits), len(state.reads), len(state.scans)
        await api.submit(1)
        after = len(state.commits), len(state.reads), len(state.scans)
        commits, reads, scans = (now - then for now, then in zip(after, before, strict=True))
        return commits, reads, scans

    await run(api, 1.0)
    without = await operations()
    await put(api, 5, period="month")
    await put(api, 5, label="b")

    assert await operations() == without == (1, 0, 0)


async def test_a_budget_of_another_process_is_known_soon(start_api: StartApi) -> None:
    """Its event has this process read all budgets, and its next submit is refused."""
    api = await start_api(SharedRecordingState)
    await api.submit(1)
    key = f"{BudgetRecord.prefix}{ACCOUNT}/{'0' * 32}"
    record = BudgetRecord(
        dollars=0, period="total", action="refuse", label=None, is_cap=True, since_at=0.0
    )
    await api.state.commit([Put(key, layout.encode(record))])
    event = Event(EventKind.BUDGET, ACCOUNT, "")

    await api.server.background.events.on_remote_events([event])
    await api.use_cases.accounts.budgets.keep_up(every=False)

    with pytest.raises(BudgetReached, match="ask the operator of the server to raise it"):
        await api.submit(1)
