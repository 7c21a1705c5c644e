"""Usage: how many bytes an account has stored, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import AccountUsage, StoredBytes

from picloud_api.store import layout
from picloud_api.usecases.storage.bucket_quota import stored_objects

if TYPE_CHECKING:
    from picloud_driver.blob import BlobPort
    from picloud_driver.bucket import BucketPort

    from picloud_api.engine.process.context import Context

_AT_ONCE: Final = 64
"""How many values are read together; each may have 256 KiB."""


class AccountUsages:
    """Measures what accounts have stored, by reading or listing all of it."""

    def __init__(self, context: Context, blobs: BlobPort, buckets: BucketPort) -> None:
        self._state = context.commits.view.state
        self._blobs = blobs
        self._buckets = buckets

    async def measure(self, account: str) -> AccountUsage:
        """Return what an account has stored."""
        count = size = 0
        for prefix in layout.of_jobs(account):
            after = ""
            while entries := await self._state.scan(prefix, after, limit=_AT_ONCE):
                count += len(entries)
                size += sum(len(entry.value) for entry in entries)
                after = entries[-1].key
        stored = [await self._blobs.usage(prefix) for prefix in layout.of_blobs(account)]
        blobs = StoredBytes(sum(each.blobs for each in stored), sum(each.size for each in stored))
        objects = await stored_objects(self._buckets, account)
        return AccountUsage(jobs=StoredBytes(count, size), blobs=blobs, objects=objects)
