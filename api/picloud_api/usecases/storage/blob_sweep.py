"""The sweep: deletes blobs that nothing has referred to for a day.

It marks and sweeps. Blobs that nothing refers to are recorded. The next sweep, a day later, deletes
those that are still in the record and still unreferenced. So nothing is deleted that was used
within a day, and no references are counted. Blobs are marked before they are deleted, and until the
deletion ends the server does not report that it has them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from picloud_api.store import layout
from picloud_api.store.blob_name import blob_name
from picloud_api.usecases.storage.blob_use import STALLED_S, Unreferenced, record_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_driver.blob import BlobPort

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.storage.blob_references import BlobReferences

AT_ONCE: Final = 64
"""Blobs that are marked and deleted together; a client that sends one of them waits for that."""
MOST_RECORDED: Final = 4_000
"""Digests in a record: 136 KB. Those of more blobs are recorded by later sweeps."""
_DIGITS: Final = "0123456789abcdef"

_log = structlog.get_logger()


class BlobSweep:
    """Sweeps the blobs of one account at a time.

    Args:
        context: The store and the clock.
        blobs: Where blobs are.
        references: Finds what nothing refers to.
    """

    def __init__(self, context: Context, blobs: BlobPort, references: BlobReferences) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._blobs = blobs
        self._references = references
        self._swept_at: dict[str, float] = {}

    async def sweep(self, account: str, after_s: float, may_go_on: Callable[[], bool]) -> int:
        """Delete what nothing has referred to for a time; do nothing if the last sweep was later.

        Args:
            account: Whose blobs.
            after_s: The time in seconds.
            may_go_on: Whether to delete more; another process may lead by now.

        Returns:
            How many blobs were deleted.
        """
        records = await self._records(account)
        times = [record.at for record in records.values()]
        last = min(times, default=self._swept_at.get(account, -after_s))
        if self._clock() - last < after_s:
            return 0
        names = [name async for name in self._blobs.names(f"{account}/")]
        digests = {name.removeprefix(f"{account}/") for name in names}
        unreferenced = await self._references.unreferenced(account, digests)
        count = 0
        for digit in _DIGITS:
            key, record = record_key(account, digit), records.get(digit)
            if record is not None and self._clock() - record.at < after_s:
                # Another sweep was interrupted after this one was written.
                continue
            found = {digest for digest in unreferenced if digest[0] == digit}
            deleted = await self._delete(account, key, frozenset(found), may_go_on)
            count += len(deleted)
            if not may_go_on():
                return count
            left = sorted(found.difference(deleted))
            if left or record is not None:
                await self._commits.run(partial(self._record, key=key, found=left))
        self._swept_at[account] = self._clock()
        return count

    async def _records(self, account: str) -> dict[str, Unreferenced]:
        """Return the records of the last sweep by digit."""
        prefix = record_key(account)
        entries = await self._commits.view.state.scan(prefix)
        return {
            entry.key.removeprefix(prefix): layout.decode(entry.key, entry.value)
            for entry in entries
        }

    async def _delete(
        self, account: str, key: str, found: frozenset[str], may_go_on: Callable[[], bool]
    ) -> list[str]:
        """Delete those recorded blobs that were found unreferenced again; return their digests."""
        deleted: list[str] = []
        while may_go_on():
            begun_at = self._clock()
            chosen = await self._commits.run(
                partial(_begin, key=key, found=found, begun_at=begun_at)
            )
            for digest in chosen:
                if not may_go_on() or self._clock() - begun_at > STALLED_S / 2:
                    # The rest may be sent again, and is recorded anew by the next sweep.
                    await self._commits.run(partial(_give_up, key=key, begun_at=begun_at))
                    return deleted
                await self._blobs.delete(blob_name(account, digest))
                deleted.append(digest)
            if not chosen:
                break
        return deleted

    async def _record(self, draft: Draft, key: str, found: Sequence[str]) -> None:
        """Record what nothing refers to now."""
        await draft.fresh(key)
        if not found:
            draft.delete(key)
            return
        digests = tuple(bytes.fromhex(digest) for digest in found[:MOST_RECORDED])
        draft.put(key, Unreferenced(digests=digests, at=self._clock()))


async def _give_up(draft: Draft, key: str, begun_at: float) -> None:
    """Remove the marks of what was to be deleted next, unless another process has set others."""
    record: Unreferenced | None = await draft.fresh(key)
    if record is not None and record.begun_at == begun_at:
        draft.put(key, replace(record, deleting=()))


async def _begin(draft: Draft, key: str, found: frozenset[str], begun_at: float) -> list[str]:
    """Mark the blobs that are deleted next, in place of those that were; return them."""
    record: Unreferenced | None = await draft.fresh(key)
    if record is None:
        return []
    due = [digest for digest in record.digests if digest.hex() in found][:AT_ONCE]
    rest = tuple(digest for digest in record.digests if digest not in due)
    if due or record.deleting:
        draft.put(key, replace(record, digests=rest, deleting=tuple(due), begun_at=begun_at))
    return [digest.hex() for digest in due]
