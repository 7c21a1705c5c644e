"""The stage sweeper: deletes what was sent ahead of submits that never came, and expired memos.

Only the leader sweeps. A client that was killed in a large submit would otherwise leave its packs
forever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from picloud_api.store import layout
from picloud_api.store.records import Memo, Staged

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import BatchId

KEPT_S: Final = 3600.0
"""How long packs are kept after the last request that stored some of them."""
_SCANNED: Final = 256
_AT_ONCE: Final = 16
"""How many packs are deleted in one transaction: they are read before, and each may be large."""

_log = structlog.get_logger()


class StageSweeper:
    """Finds batches that were staged and never submitted, and deletes what is stored of them."""

    def __init__(self, context: Context, leader: Leadership) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._leader = leader

    async def sweep_if_leader(self) -> None:
        """Sweep, unless another process leads."""
        if self._leader.is_leader:
            await self.sweep()

    async def sweep(self) -> None:
        """Delete what was stored ahead more than an hour ago."""
        now = self._clock()
        for key, staged in (await self._commits.view.scan(Staged.prefix)).items():
            if now - staged.created_at > KEPT_S:
                await self._delete(Staged.parse(key))
        await self._forget_memos(now)

    async def _forget_memos(self, now: float) -> None:
        """Delete the memos that no longer count."""
        after = ""
        while entries := await self._commits.view.state.scan(Memo.prefix, after, limit=_SCANNED):
            for entry in entries:
                memo: Memo = layout.decode(entry.key, entry.value)
                if memo.until <= now:
                    await self._commits.run(partial(_forget_memo, key=entry.key, now=now))
            after = entries[-1].key

    async def _delete(self, batch: BatchId) -> None:
        """Delete the packs and pages of a batch first, so that a crash leaves the marker."""
        header = layout.header(*batch)
        if await self._commits.view.fresh(header) is None:
            if not await self._commits.run(partial(_refuse_submit, batch=batch)):
                return
            keys = 0
            for prefix in layout.stored_ahead(*batch):
                while entries := await self._commits.view.state.scan(prefix, limit=_AT_ONCE):
                    await self._commits.remove([entry.key for entry in entries])
                    keys += len(entries)
            _log.info("stage.swept", batch=batch.batch, keys=keys)
        await self._commits.remove([layout.staged(*batch)])


async def _forget_memo(draft: Draft, key: str, now: float) -> None:
    """Delete a memo, unless it was renewed meanwhile."""
    memo: Memo | None = await draft.fresh(key)
    if memo is not None and memo.until <= now:
        draft.delete(key)


async def _refuse_submit(draft: Draft, batch: BatchId) -> bool:
    """Forget which parts were staged, so that no submit counts on them; return whether it did.

    It does not if the batch was submitted meanwhile, or more was stored.
    """
    name = layout.staged(*batch)
    staged: Staged | None = await draft.get(name)
    if staged is None or await draft.get(layout.header(*batch)) is not None:
        return False
    draft.put(name, Staged([], staged.created_at))
    return True
