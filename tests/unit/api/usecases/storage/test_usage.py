"""Usage: what an account has stored, and nothing of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_jobs_and_blobs_are_counted(api: ApiHarness) -> None:
    """What was there before counts, too; deleting jobs makes it less."""
    usage, blobs = api.use_cases.storage.usage, api.use_cases.storage.blobs
    before = await usage.measure(ACCOUNT)
    await api.submit(3)
    await blobs.store(ACCOUNT, [b"x" * 1000, b"y" * 10])
    await blobs.store("a0000002", [b"z" * 1000])

    after = await usage.measure(ACCOUNT)

    assert after.jobs.count > before.jobs.count
    assert after.jobs.size > before.jobs.size
    assert after.blobs.count - before.blobs.count == 2
    assert after.blobs.size - before.blobs.size == 1010
