"""Listing: the jobs of an account, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.errors import RequestRefused

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def listed(api: ApiHarness, **request: object) -> tuple[list[int], int | None]:
    """The jids of a list, and where it goes on."""
    answer = await api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(**request))  # type: ignore[arg-type]
    return [job.jid for job in answer.jobs], answer.more


async def test_newest_first(api: ApiHarness) -> None:
    """Jobs of calls, small maps and large ones come in one descending order."""
    for count in (3, 2500, 1, 150, 1):
        await api.submit(count)

    jids, more = await listed(api, limit=10_000)

    assert jids == list(range(2655, 0, -1))
    assert more is None


async def test_reading_on(api: ApiHarness) -> None:
    """`more` is where the next page begins; the pages together are the whole list."""
    await api.submit(1700)
    await api.submit(30)
    found: list[int] = []
    before = None
    while True:
        jids, before = await listed(api, before=before, limit=400)
        found += jids
        if before is None:
            break

    assert found == list(range(1730, 0, -1))


async def test_filters(api: ApiHarness) -> None:
    """By status, label and time."""
    old = await api.submit(2, label="old")
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    api.now += 100
    new = await api.submit(2, label="new")
    done = [job.index + old[0] for lease in leases for job in lease.jobs]

    assert (await listed(api, statuses=["done"]))[0] == sorted(done, reverse=True)
    assert (await listed(api, label="new"))[0] == [new[1], new[0]]
    assert (await listed(api, created_since=api.now - 1))[0] == [new[1], new[0]]
    assert (await listed(api, statuses=["killed", "error"]))[0] == []


async def test_a_wrong_status_names_the_right_ones(api: ApiHarness) -> None:
    """A closed list is told to whoever misses it."""
    with pytest.raises(RequestRefused, match=r"no status 'ready'; there are waiting, queued"):
        await listed(api, statuses=["ready"])


async def test_deleted_jobs_are_left_out(api: ApiHarness) -> None:
    """Who deleted a job does not want to see it."""
    jids = await api.submit(3)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[1], jids[1])])

    assert (await listed(api))[0] == [3, 1]


async def test_accounts_see_their_own(api: ApiHarness) -> None:
    """An account without jobs has an empty list."""
    await api.submit(3)

    assert (await api.use_cases.jobs.listing.list("a0000002", wire.ListRequest())).jobs == []
