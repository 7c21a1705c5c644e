"""Leasing: how many jobs a slot gets at once, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from picloud_api.store import layout
from picloud_driver.state import Put
from structlog.testing import capture_logs

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_an_unmeasured_function_is_leased_one_job(api: ApiHarness) -> None:
    """The run time of a new function is unknown, so a slot gets a single job of it."""
    slot = await api.slot()
    await api.submit(1000)

    assert len((await api.work(slot)).leases[0].jobs) == 1


async def test_a_lease_is_about_100_ms_of_work(api: ApiHarness) -> None:
    """Once a function is measured, a lease holds what fills 100 ms."""
    slot = await api.slot()
    await api.submit(1000)
    first = (await api.work(slot)).leases[0]

    second = await api.work(slot, reports=[report_of(first, seconds=0.01)])

    assert len(second.leases[0].jobs) == 10


async def test_two_slots_share_a_map(api: ApiHarness) -> None:
    """No slot takes the whole of a short map while another waits."""
    slots = [await api.slot(), await api.slot()]
    await api.submit(2)
    first = (await api.work(slots[0])).leases[0]
    await api.work(slots[0], reports=[report_of(first)], lease=False)
    await api.submit(100)

    assert len((await api.work(slots[0])).leases[0].jobs) <= 50


async def test_very_short_jobs_are_not_shared(api: ApiHarness) -> None:
    """A lease of its own would cost as much as ten jobs that do nothing; more are shared."""
    slots = [await api.slot(), await api.slot()]
    await api.submit(2)
    first = (await api.work(slots[0])).leases[0]
    await api.work(slots[0], reports=[report_of(first)], lease=False)
    for count, leased in ((8, 8), (12, 10), (100, 50)):
        await api.submit(count, priority=0)

        leases = (await api.work(slots[0])).leases

        assert len(leases[0].jobs) == leased
        await api.work(slots[0], reports=[report_of(each) for each in leases], lease=False)
        while rest := (await api.work(slots[0])).leases:
            await api.work(slots[0], reports=[report_of(each) for each in rest], lease=False)


async def test_small_batches_of_one_function_are_leased_together(api: ApiHarness) -> None:
    """Many calls of a fast function are leased in one reply."""
    slot = await api.slot()
    await api.submit(1)
    first = (await api.work(slot)).leases[0]
    for _ in range(20):
        await api.submit(1)

    answer = await api.work(slot, reports=[report_of(first)])

    assert len(answer.leases) == 20


async def test_small_batches_of_several_functions_are_leased_together(api: ApiHarness) -> None:
    """Only if each of them is measured, and all have the same modules."""
    slot = await api.slot()
    for name in ("a", "b"):
        await api.submit(1, function=name)
        (first,) = (await api.work(slot)).leases
        await api.work(slot, reports=[report_of(first)], lease=False)
    for name in ("a", "b", "a", "new", "a"):
        await api.submit(1, function=name)

    leased = [(await api.work(slot)).leases for _ in range(3)]

    assert [len(leases) for leases in leased] == [3, 1, 1]


async def test_priority_decides_then_age(api: ApiHarness) -> None:
    """Lower priority numbers run first, older batches first among equals."""
    slot = await api.slot()
    late, early, urgent = [
        await api.submit(1, function=name, priority=priority)
        for name, priority in (("a", 7), ("b", 5), ("c", 1))
    ]

    order = [(await api.work(slot)).leases[0].first for _ in range(3)]

    assert order == [urgent[0], early[0], late[0]]


async def test_a_batch_that_cannot_be_read_keeps_no_other_waiting(api: ApiHarness) -> None:
    """A process of an older version leases the batches that it can read, also after a restart, and
    logs once at each full look which one it cannot.
    """
    newer = api.request(1, priority=0)
    await api.send(newer)
    key = layout.header(ACCOUNT, newer.submit_id)
    fields = msgspec.msgpack.decode((await api.state.get([key]))[key].value)
    fields[7]["of_a_newer_version"] = True
    assert fields[7]["priority"] == 0, "these are its options"
    await api.state.commit([Put(key, msgspec.msgpack.encode(fields))])
    others = [await api.submit(1), await api.submit(1)]
    await api.stop()
    await api.start()
    slot = await api.slot()

    with capture_logs() as logged:
        while leases := (await api.work(slot)).leases:
            await api.work(slot, reports=[report_of(each) for each in leases], lease=False)

    assert [await api.statuses(jids) for jids in others] == [["done"], ["done"]]
    assert [each["event"] for each in logged] == ["lease.unreadable"]
    assert f"{key} was written by a newer version" in logged[0]["reason"]
