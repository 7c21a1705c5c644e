"""Prices: they apply to jobs that are created after they were changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_api.usecases.accounts.price import PriceHistory, PriceList
from picloud_model.core import DEFAULT_PRICES
from picloud_model.wire import InfoRequest
from picloud_model.wire.usage import JobUsageRequest

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def _cost(api: ApiHarness, jid: int) -> float | None:
    request = InfoRequest(jids=[(jid, jid)], keys=["cost"])
    infos = await api.use_cases.jobs.info.info(ACCOUNT, request)
    cost: float | None = infos.jobs[0].values["cost"]
    return cost


async def _run_for_an_hour(api: ApiHarness, **options: object) -> int:
    jids = await api.submit(1, **options)
    slot = await api.slot()
    for lease in (await api.work(slot)).leases:
        await api.work(slot, reports=[report_of(lease, seconds=3600.0)], lease=False)
    return jids[0]


def test_prices_are_in_proportion_to_compute_units() -> None:
    """An f2 costs what it cost on PiCloud."""
    assert DEFAULT_PRICES == {"c1": 0.04, "c2": 0.1, "f2": 0.22, "m1": 0.13, "s1": 0.08}


async def test_what_was_charged_does_not_change(api: ApiHarness) -> None:
    """A job keeps the price of its creation, also over kill -9 of the server and further prices."""
    prices = api.use_cases.accounts.prices
    first = await _run_for_an_hour(api)
    assert await _cost(api, first) == 0.04
    api.now += 10
    await prices.change(PriceList(dollars_per_hour={"c1": 1.0}))
    second = await _run_for_an_hour(api)
    api.now += 10
    await prices.change(PriceList(dollars_per_hour={"c1": 0.0}))
    third = await _run_for_an_hour(api)

    await api.stop()
    await api.start()

    assert [await _cost(api, jid) for jid in (first, second, third)] == [0.04, 1.0, 0.0]


async def test_a_core_type_may_have_no_price(api: ApiHarness) -> None:
    """Its jobs run, and their cost is unknown."""
    api.now += 10
    await api.use_cases.accounts.prices.change(PriceList(dollars_per_hour={"f2": 1.0}))

    listed = await api.use_cases.accounts.prices.list(ACCOUNT)

    assert listed.dollars_per_hour == {"c1": None, "c2": None, "f2": 1.0, "m1": None, "s1": None}
    assert listed.since_at == api.now
    assert await _cost(api, await _run_for_an_hour(api)) is None


async def test_the_slots_of_a_core_type_are_listed(api: ApiHarness) -> None:
    """On request only, as the scheduler has to be asked."""
    prices = api.use_cases.accounts.prices

    assert (await prices.list(ACCOUNT)).slots is None
    assert (await prices.list(ACCOUNT, slots_of="c1")).slots == await api.scheduler.capacity("c1")


async def test_the_same_prices_are_no_change(api: ApiHarness) -> None:
    """A server that starts with the list that applies writes nothing, nor do several processes."""
    prices = api.use_cases.accounts.prices
    await prices.change(PriceList(dollars_per_hour={"c1": 1.0}))
    since_at = (await prices.list(ACCOUNT)).since_at
    before = api.state.commits

    api.now += 10
    await prices.change(PriceList(dollars_per_hour={"c1": 1.0}))

    assert api.state.commits == before
    assert (await prices.list(ACCOUNT)).since_at == since_at


async def test_an_environment_may_have_prices_of_its_own(api: ApiHarness) -> None:
    """Its jobs cost them everywhere; for other core types it has the prices of all."""
    api.now += 10
    prices = api.use_cases.accounts.prices
    await prices.change(
        PriceList(
            dollars_per_hour={"c1": 1.0, "f2": 3.0}, environments={"base/precise": {"c1": 2.0}}
        )
    )

    jid = await _run_for_an_hour(api, env="base/precise")

    assert await _cost(api, jid) == 2.0
    usage = api.use_cases.accounts.job_usage
    rows = (await usage.read(ACCOUNT, JobUsageRequest(by="type"))).rows
    assert [(row.dollars_per_hour, row.core_ms) for row in rows] == [(2.0, 3_600_000)]
    listed = (await prices.list(ACCOUNT, "base/precise")).dollars_per_hour
    assert (listed["c1"], listed["f2"]) == (2.0, 3.0)
    assert (await prices.list(ACCOUNT)).dollars_per_hour["c1"] == 1.0


def test_lists_of_earlier_versions_are_read() -> None:
    """They have neither environments nor free core hours: what is free by default is free."""
    earlier = msgspec.msgpack.encode([[[0.0, {"c1": 1.0}]]])

    (change,) = msgspec.msgpack.decode(earlier, type=PriceHistory).changes

    assert change.prices == PriceList(dollars_per_hour={"c1": 1.0}, free={"c1": 20.0})
