"""Listing: the jobs and batches of an account, newest first."""

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


async def list_batches(api: ApiHarness, **request: object) -> wire.BatchesListed:
    """List batches."""
    return await api.use_cases.jobs.listing.batches(ACCOUNT, wire.BatchesRequest(**request))  # type: ignore[arg-type]


async def test_a_batch_is_one_row_with_counts(api: ApiHarness) -> None:
    """Calls and maps are listed newest first, each with its jids and its jobs by status."""
    await api.submit(1)
    api.now += 5
    await api.submit(2500, label="sweep")

    sweep, call = (await list_batches(api)).batches

    assert (sweep.jids, sweep.statuses) == (range(2, 2502), {"queued": 2500})
    assert (sweep.label, sweep.created_at, sweep.started_at) == ("sweep", api.now, 0)
    assert (call.jids, call.statuses) == (range(1, 2), {"queued": 1})


async def test_a_batch_has_ended_when_all_its_jobs_have(api: ApiHarness) -> None:
    """Until then `finished_at` is 0; deleted jobs do not count, and a batch of them is left out."""
    jids = await api.submit(2)
    slot = await api.slot()
    leases = (await api.work(slot)).leases
    started = (await list_batches(api)).batches[0]
    await api.work(slot, reports=[report_of(lease) for lease in leases], lease=False)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    ended = (await list_batches(api)).batches[0]
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[0], jids[0])])
    halved = (await list_batches(api)).batches[0]
    await api.use_cases.jobs.delete.delete(ACCOUNT, [(jids[1], jids[1])])

    assert started.finished_at == 0
    assert ended.finished_at > 0
    assert sum(ended.statuses.values()) == 2
    assert (halved.count, sum(halved.statuses.values())) == (2, 1)
    assert (await list_batches(api)).batches == []


async def test_batches_are_filtered(api: ApiHarness) -> None:
    """By status of any job, label, function and time; what one account made no other sees."""
    await api.submit(3, label="old")
    api.now += 100
    await api.submit(2, label="new")
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])

    async def firsts(**request: object) -> list[int]:
        return [batch.first for batch in (await list_batches(api, **request)).batches]

    assert await firsts(statuses=["killed"]) == [1]
    assert await firsts(statuses=["queued"]) == [4, 1]
    assert await firsts(statuses=["done"]) == []
    assert await firsts(label="new") == [4]
    assert await firsts(function="no such function") == []
    assert await firsts(created_since=api.now - 1) == [4]
    assert (await api.use_cases.jobs.listing.batches("a0000002", wire.BatchesRequest())).slots == 0


async def test_the_pages_of_a_list_of_batches_are_the_whole_list(api: ApiHarness) -> None:
    """Each page begins where `more` of the one before says; the account's slots are counted."""
    for _ in range(5):
        await api.submit(2)
    await api.slot()

    first = await list_batches(api, limit=3)
    second = await list_batches(api, limit=3, before=first.more)

    assert [batch.first for batch in first.batches + second.batches] == [9, 7, 5, 3, 1]
    assert (first.slots, second.more) == (1, None)
