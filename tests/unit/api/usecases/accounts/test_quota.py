"""Quotas: what one account may have at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_api.usecases.accounts.quota import AccountQuota, Amount, Quotas, size_of
from picloud_model import wire
from picloud_model.errors import AccountBusy

from tests.unit.api.api_harness import ACCOUNT, hold

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


def limit(api: ApiHarness, **quotas: int) -> AccountQuota:
    """Set quotas of the server."""
    quota = api.use_cases.accounts.quota
    quota.quotas = replace(Quotas(), **quotas)
    return quota


async def test_an_account_has_a_bound_of_unfinished_jobs(api: ApiHarness) -> None:
    """The error says of what there is too much; nothing is created, and others may go on."""
    limit(api, jobs=100)
    await api.submit(60)

    with pytest.raises(AccountBusy, match="may have 100 unfinished jobs at once"):
        await api.submit(60)

    assert await api.submit(40) == range(61, 101)
    made = await api.use_cases.jobs.submit.submit(OTHER, api.request(60), b"f")
    assert made.first == 1


async def test_ended_jobs_make_room(api: ApiHarness) -> None:
    """They count no longer, from the next count on."""
    limit(api, jobs=100)
    await api.submit(100)
    await api.use_cases.jobs.kill.kill(ACCOUNT, None)
    api.now += 2

    assert len(await api.submit(100)) == 100


async def test_an_account_has_a_bound_of_unfinished_calls(api: ApiHarness) -> None:
    """Each call takes memory, however few jobs it has."""
    limit(api, batches=20)
    for _ in range(20):
        await api.submit(1)

    with pytest.raises(AccountBusy, match="20 unfinished calls and maps"):
        await api.submit(1)


async def test_the_bytes_of_arguments_have_a_bound(api: ApiHarness) -> None:
    """Also if they are sent ahead of a submit that does not come."""
    part = api.request(1000).parts[0]
    limit(api, stored_bytes=25 * size_of([part]) // 10)
    for number in range(2):
        await api.use_cases.jobs.submit.stage(
            ACCOUNT, wire.StageRequest(submit_id=f"{number:032x}", parts=[part])
        )

    with pytest.raises(AccountBusy, match="bytes of arguments"):
        await api.submit(1000)


async def test_a_repeated_submit_is_answered_without_room(api: ApiHarness) -> None:
    """It creates nothing: its first request may have had the last room."""
    limit(api, jobs=10)
    request = api.request(10)
    first = await api.send(request)

    assert await api.send(request) == first


async def test_what_is_under_way_counts(api: ApiHarness) -> None:
    """Submits at the same time do not all find the same room."""
    quota = limit(api, jobs=100)

    async with quota.admit(ACCOUNT, Amount(jobs=60)):
        with pytest.raises(AccountBusy):
            async with quota.admit(ACCOUNT, Amount(jobs=60)):
                pass
    async with quota.admit(ACCOUNT, Amount(jobs=40)):
        pass


async def test_waits_have_a_bound(api: ApiHarness) -> None:
    """A wait that ends makes room; a look without waiting needs none."""
    quota = limit(api, waits=1)
    jids = await api.submit(1)
    request = wire.WaitRequest(jids=[(jids[0], jids[0])], timeout_s=0.01)

    with quota.waiting(ACCOUNT):
        with pytest.raises(AccountBusy, match="wait for many jobs in one request"):
            await api.use_cases.jobs.wait.wait(ACCOUNT, request, hold)
        await api.use_cases.jobs.wait.wait(ACCOUNT, replace(request, timeout_s=0.0), hold)
    await api.use_cases.jobs.wait.wait(ACCOUNT, request, hold)


def test_a_blob_that_several_packs_name_counts_once() -> None:
    """It is stored once."""
    blob = wire.Content("0" * 64, 1000)
    parts = [wire.PackPart(number, 1, blob) for number in range(3)]

    assert size_of([*parts, wire.PackPart(3, 1, wire.Content(data=b"12345"))]) == 1005
