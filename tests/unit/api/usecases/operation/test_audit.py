"""The audit log: entries are added in order and read from the newest, and old ones are removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from picloud_api.usecases.operation.audit import BLOCK_ENTRIES, AuditLog, AuditRecord
from picloud_model.wire.audit import AuditRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


def record(number: int) -> AuditRecord:
    """Return an entry that names a number."""
    return AuditRecord(at=0.0, operation="keys", person="ada", details=f"id={number}")


async def details(log: AuditLog, **request: float) -> list[int]:
    """Return the numbers that entries name, as a request gets them."""
    listed = await log.read(ACCOUNT, AuditRequest(**request))  # type: ignore[arg-type]
    return [int(entry.details.removeprefix("id=")) for entry in listed.entries]


async def test_entries_are_read_a_part_at_a_time(api: ApiHarness) -> None:
    """The newest first; each part continues before the last entry of the part before."""
    log, count = api.use_cases.operation.audit, 2 * BLOCK_ENTRIES + 7
    for number in range(count):
        await log.add(ACCOUNT, record(number))
    read: list[int] = []
    before = count

    while before:
        read += await details(log, before=before, limit=40)
        before = read[-1]

    assert read == [*reversed(range(count))]
    assert await details(log, limit=3) == [count - 1, count - 2, count - 3]
    assert (await log.read("a0000002", AuditRequest())).entries == []


async def test_entries_of_one_moment_are_all_kept(api: ApiHarness) -> None:
    """Requests at the same time share a transaction, and each has an entry."""
    log = api.use_cases.operation.audit

    await asyncio.gather(*(log.add(ACCOUNT, record(number)) for number in range(120)))

    assert sorted(await details(log, limit=1000)) == [*range(120)]


async def test_old_entries_are_removed(api: ApiHarness) -> None:
    """The log of an account is bounded; the numbers of later entries stay as they are."""
    log = AuditLog(api.server.context, max_blocks=2)
    count = 4 * BLOCK_ENTRIES + 1
    for number in range(count):
        await log.add(ACCOUNT, record(number))

    kept = await details(log, limit=1000)

    assert kept == [*reversed(range(3 * BLOCK_ENTRIES, count))]
    assert len(await api.server.context.commits.view.scan("audit/")) == 2


@pytest.mark.parametrize(("since", "expected"), [(0.0, 3), (1_001.0, 2), (1_003.0, 0)])
async def test_entries_since_a_time(api: ApiHarness, since: float, expected: int) -> None:
    """Each has the time of the server."""
    log = api.use_cases.operation.audit
    for number in range(3):
        await log.add(ACCOUNT, record(number))
        api.now += 1

    assert len(await details(log, since=since)) == expected


async def test_entries_survive_a_restart(api: ApiHarness) -> None:
    """An entry is stored when its request goes on."""
    await api.use_cases.operation.audit.add(ACCOUNT, record(7))

    await api.stop()
    await api.start()

    assert await details(api.use_cases.operation.audit) == [7]
