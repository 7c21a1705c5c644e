"""Realtime cores: reserved once, within what there is, and paid while they are held."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from picloud_driver.scheduler import Pool
from picloud_model.errors import BudgetReached, NotFound, RequestConflict, RequestRefused
from picloud_model.wire.budget import SetBudgetRequest
from picloud_model.wire.realtime import ChangeReservationRequest, ReserveCoresRequest
from picloud_model.wire.usage import JobUsageRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_api.usecases.slots.realtime import RealtimeCores
    from picloud_model.wire.realtime import Reservation

    from tests.unit.api.api_harness import ApiHarness

POOL = Pool(ACCOUNT, "c1", 1)
OTHER = "a0000002"
HOUR_S = 3600.0


def cores(api: ApiHarness) -> RealtimeCores:
    """Return what keeps reservations."""
    return api.use_cases.slots.realtime


def asked(cores: int = 1, **more: Any) -> ReserveCoresRequest:
    """Return a request for cores that was not sent yet."""
    fields = {"core_type": "c1", "python": "3.11", "request_id": uuid.uuid4().hex} | more
    return ReserveCoresRequest(cores=cores, **fields)


async def look(api: ApiHarness) -> None:
    """Let the server look at reservations once."""
    await api.server.background.warm_slots.look()


async def start(api: ApiHarness, count: int) -> None:
    """Let slots register until the reservations run."""
    await look(api)
    for _ in range(count):
        await api.slot()
    await look(api)


async def only(api: ApiHarness) -> Reservation:
    """Return the one reservation that has not ended."""
    (reservation,) = await cores(api).list(ACCOUNT)
    return reservation


async def test_slots_are_started_and_kept(api: ApiHarness) -> None:
    """Without a job, and until the reservation is released."""
    reserved = await cores(api).reserve(ACCOUNT, asked(2))
    assert reserved.started_at is None
    await look(api)
    await api.wait_until(lambda: _started(api), 2)
    assert (await only(api)).started_at is None

    api.now += 5
    await start(api, 2)

    assert (await only(api)).started_at == api.now
    assert api.server.context.warm_slots.count(POOL) == 2
    await cores(api).release(ACCOUNT, reserved.id)
    await look(api)
    assert api.server.context.warm_slots.count(POOL) == 0
    assert await cores(api).list(ACCOUNT) == []


async def _started(api: ApiHarness) -> int:
    return sum(burst.count for burst in api.scheduler.bursts)


async def test_a_repeated_request_reserves_once(api: ApiHarness) -> None:
    """As its reply may have been lost; so may that of a release."""
    request = asked()

    first = await cores(api).reserve(ACCOUNT, request)
    assert await cores(api).reserve(ACCOUNT, request) == first

    assert (await only(api)).id == first.id
    for _ in range(2):
        await cores(api).release(ACCOUNT, first.id)
    await look(api)
    await cores(api).release(ACCOUNT, first.id)


async def test_no_more_is_reserved_than_there_is(api: ApiHarness) -> None:
    """By all accounts together; there are two cores."""
    await cores(api).reserve(OTHER, asked())
    with pytest.raises(RequestRefused, match="this server has 2"):
        await cores(api).reserve(ACCOUNT, asked(3))
    with pytest.raises(RequestConflict, match="of 2 on this server, 1 are reserved already"):
        await cores(api).reserve(ACCOUNT, asked(2))
    await cores(api).reserve(ACCOUNT, asked())

    assert await cores(api).counts() == {POOL: 1, Pool(OTHER, "c1", 1): 1}


async def test_jobs_of_several_cores_have_slots_of_their_own(api: ApiHarness) -> None:
    """The cores are divided among them."""
    await cores(api).reserve(ACCOUNT, asked(2, core_type="c2", job_cores=2))

    assert await cores(api).counts() == {Pool(ACCOUNT, "c2", 2): 1}
    with pytest.raises(RequestRefused, match="reserve a multiple of 2"):
        await cores(api).reserve(ACCOUNT, asked(1, core_type="f2", job_cores=2))
    with pytest.raises(RequestRefused, match="A job on c1 may have 1 core, not 2"):
        await cores(api).reserve(ACCOUNT, asked(2, job_cores=2))
    with pytest.raises(RequestRefused, match="There is no core type 'c9'"):
        await cores(api).reserve(ACCOUNT, asked(core_type="c9"))
    with pytest.raises(RequestRefused, match="gone"):
        await cores(api).reserve(ACCOUNT, asked(env="gone"))


async def test_it_ends_after_its_hours(api: ApiHarness) -> None:
    """Counted from its start; it is paid until then, and no longer."""
    await cores(api).reserve(ACCOUNT, asked(2, hours=0.5))
    api.now += HOUR_S
    await start(api, 2)
    api.now += HOUR_S / 4
    assert (await only(api)).cost == pytest.approx(0.04 * 2 / 4)

    api.now += HOUR_S

    assert await cores(api).list(ACCOUNT) == []
    assert await cores(api).counts() == {}
    for _ in range(2):
        await look(api)
        (row,) = (await api.use_cases.accounts.job_usage.read(ACCOUNT, JobUsageRequest())).rows
        assert (row.jobs, row.core_ms, row.cost) == (0, 2 * 1_800_000, 0.04)


async def test_its_hours_can_be_changed(api: ApiHarness) -> None:
    """Until it has ended; hours that are over end it now."""
    change = cores(api).change
    reserved = await cores(api).reserve(ACCOUNT, asked(hours=1.0))
    await start(api, 1)
    api.now += HOUR_S / 2

    longer = await change(ACCOUNT, ChangeReservationRequest(reservation=reserved.id, hours=2.0))
    assert longer.until_at == (longer.started_at or 0) + 2 * HOUR_S
    endless = await change(ACCOUNT, ChangeReservationRequest(reservation=reserved.id, hours=None))
    assert endless.until_at is None
    for _ in range(2):
        ended = await change(ACCOUNT, ChangeReservationRequest(reservation=reserved.id, hours=0.25))
        assert ended.until_at == api.now

    await look(api)
    with pytest.raises(RequestConflict, match="has ended"):
        await change(ACCOUNT, ChangeReservationRequest(reservation=reserved.id, hours=8.0))
    assert (await api.use_cases.accounts.job_usage.read(ACCOUNT, JobUsageRequest())).rows


async def test_those_of_other_accounts_do_not_exist(api: ApiHarness) -> None:
    """Neither can they be released."""
    reserved = await cores(api).reserve(OTHER, asked())

    assert await cores(api).list(ACCOUNT) == []
    with pytest.raises(NotFound, match=f"no reservation {reserved.id} in your account"):
        await cores(api).release(ACCOUNT, reserved.id)
    request = ChangeReservationRequest(reservation=reserved.id, hours=1.0)
    with pytest.raises(NotFound):
        await cores(api).change(ACCOUNT, request)


async def test_budgets_count_them(api: ApiHarness) -> None:
    """One that kills ends them; a label's does not."""
    budgets = api.use_cases.accounts.budgets
    holder = await api.use_cases.accounts.accounts.holder(api.server.key)
    for label, amount in ((None, 0.03), ("mine", 0.01)):
        request = SetBudgetRequest(dollars=amount, period="total", action="kill", label=label)
        await budgets.set(holder, request)
    await cores(api).reserve(ACCOUNT, asked(2))
    await start(api, 2)
    keeper = api.server.background.budget_keeper
    await budgets.of(ACCOUNT)  # reads at once; the keeper rests for a while after a long read
    await keeper.keep()
    assert (await only(api)).started_at == api.now

    api.now += HOUR_S / 2
    await keeper.keep()

    assert await cores(api).list(ACCOUNT) == []
    spent = {each.label: each.spent for each in await budgets.of(ACCOUNT)}
    assert spent == {None: 0.04, "mine": 0.0}
    with pytest.raises(BudgetReached):
        await cores(api).reserve(ACCOUNT, asked())


async def test_usage_lists_them(api: ApiHarness) -> None:
    """By the day of their start and their core type, else as a group of their own."""
    await cores(api).reserve(ACCOUNT, asked())
    await start(api, 1)
    api.now += HOUR_S

    for by, group in (("label", "reserved cores"), ("day", "1970-01-01"), ("type", "c1")):
        request = JobUsageRequest(by=by)  # type: ignore[arg-type]
        (row,) = (await api.use_cases.accounts.job_usage.read(ACCOUNT, request)).rows
        assert (row.group, row.runtime_ms, row.cost) == (group, 0, 0.04)
    later = JobUsageRequest(since_at=api.now)
    assert (await api.use_cases.accounts.job_usage.read(ACCOUNT, later)).rows == []


async def test_idle_slots_of_others_make_room_for_it(api: ApiHarness) -> None:
    """As for a job, if its slots have not come for a second."""
    idle = await api.slot()
    bursts = await _started(api)
    api.scheduler.full = "all cores are busy"
    with api.server.context.slot_sessions.waiting(idle):
        await cores(api).reserve(OTHER, asked())
        await look(api)
        await api.wait_until(lambda: _started(api), bursts + 1)
        api.now += 2.0
        await api.server.background.autoscaler.release_idle()

        assert idle.dismissed
