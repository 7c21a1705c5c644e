"""Usage: what an account has stored, and nothing of others."""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

from picloud_model.wire.bucket import PutObjectRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_what_is_stored_is_counted(api: ApiHarness) -> None:
    """What was there before counts, too; what others have does not."""
    usage, blobs = api.use_cases.storage.usage, api.use_cases.storage.blobs
    before = await usage.measure(ACCOUNT)
    await api.submit(3)
    await blobs.store(ACCOUNT, [b"x" * 1000, b"y" * 10])
    await blobs.store("a0000002", [b"z" * 1000])
    for account, name in ((ACCOUNT, "a"), (ACCOUNT, "a/b"), ("a0000002", "c")):
        request = PutObjectRequest(
            key=name, size=70, md5=md5(b"x" * 70).hexdigest(), data=b"x" * 70
        )
        await api.use_cases.storage.buckets.put(account, request)

    after = await usage.measure(ACCOUNT)

    assert after.jobs.count > before.jobs.count
    assert after.jobs.size > before.jobs.size
    assert after.blobs.count - before.blobs.count == 2
    assert after.blobs.size - before.blobs.size == 1010
    assert (before.objects.count, before.objects.size) == (0, 0)
    assert (after.objects.count, after.objects.size) == (2, 140)
