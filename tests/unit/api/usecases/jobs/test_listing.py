"""Listing: the jobs of an account, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_model import wire
from picloud_model.errors import RequestRefused

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def list_jobs(api: ApiHarness, **request: object) -> tuple[list[int], int | None]:
    """List jobs; return their jids and where the next page begins."""
    answer = await api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest(**request))  # type: ignore[arg-type]
    return [job.jid for job in answer.jobs], answer.more


async def test_jobs_are_listed_newest_first(api: ApiHarness) -> None:
    """Jobs of calls, small maps and large ones come in one descending order."""
    for count in (3, 2500, 1, 150, 1):
        await api.submit(count)

    jids, more = await list_jobs(api, limit=10_000)

    assert jids == list(range(2655, 0, -1))
    assert more is None


async def test_the_pages_of_a_list_are_the_whole_list(api: ApiHarness) -> None:
    """Each page begins where `more` of the one before says; no job is left out or repeated."""
    await api.submit(1700)
    await api.submit(30)
    pages: list[int] = []
    before = None
    while True:
        jids, before = await list_jobs(api, before=before, limit=400)
        pages += jids
        if before is None:
            break

    assert pages == list(range(1730, 0, -1))


async def test_jobs_are_filtered_by_status_label_and_time(api: ApiHarness) -> None:
    """Each filter leaves out the other jobs; a filter that matches none gives an empty list."""
    old = await api.submit(2, label="old")
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    api.now += 100
    new = await api.submit(2, label="new")
    done = [job.index + old[0] for lease in leases for job in lease.jobs]

    assert (await list_jobs(api, statuses=["done"]))[0] == sorted(done, reverse=True)
    assert (await list_jobs(api, label="new"))[0] == [new[1], new[0]]
    assert (await list_jobs(api, created_since=api.now - 1))[0] == [new[1], new[0]]
    assert (await list_jobs(api, statuses=["killed", "error"]))[0] == []


async def test_an_unknown_status_is_refused(api: ApiHarness) -> None:
    """The message lists the statuses that exist."""
    with pytest.raises(RequestRefused, match=r"no status 'ready'; there are waiting, queued"):
        await list_jobs(api, statuses=["ready"])


async def test_deleted_jobs_are_left_out(api: ApiHarness) -> None:
    """A deleted job is in no list."""
    jids = await api.submit(3)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[1], jids[1])])

    assert (await list_jobs(api))[0] == [3, 1]


async def test_an_account_sees_its_own_jobs_only(api: ApiHarness) -> None:
    """An account without jobs has an empty list."""
    await api.submit(3)

    assert (await api.use_cases.jobs.listing.list("a0000002", wire.ListRequest())).jobs == []
