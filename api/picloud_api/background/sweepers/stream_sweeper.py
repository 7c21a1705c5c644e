"""The stream sweeper: deletes the streams of jobs that were deleted.

Only the leader sweeps. Of a stream that was read to its end, a small record is left until then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import JobDeleted, JobNotFound

from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted
from picloud_api.store import layout
from picloud_api.store.records import StreamRecord

if TYPE_CHECKING:
    from picloud_api.background.leader import Leadership
    from picloud_api.engine.process.context import Context

_SCANNED: Final = 256
_AT_ONCE: Final = 16
"""How many keys are deleted in one transaction."""


class StreamSweeper:
    """Finds streams whose jobs were deleted, and deletes what is stored of them."""

    def __init__(self, context: Context, leader: Leadership) -> None:
        self._commits = context.commits
        self._leader = leader

    async def sweep_if_leader(self) -> None:
        """Sweep, unless another process leads."""
        if self._leader.is_leader:
            await self.sweep()

    async def sweep(self) -> None:
        """Delete the streams of deleted jobs."""
        after, state = "", self._commits.view.state
        while entries := await state.scan(StreamRecord.prefix, after, limit=_SCANNED):
            for entry in entries:
                account, jid = StreamRecord.parse(entry.key).split("/")
                if await self._is_deleted(account, int(jid)):
                    await self._delete(entry.key, layout.decode(entry.key, entry.value))
            after = entries[-1].key

    async def _is_deleted(self, account: str, jid: int) -> bool:
        view = self._commits.view
        try:
            async for piece, page in read_pages(view, await locate(view, account, [(jid, jid)])):
                refuse_deleted(page, piece)
        except (JobDeleted, JobNotFound):
            return True
        return False

    async def _delete(self, key: str, record: StreamRecord) -> None:
        """Delete the values first, so that a crash leaves the record."""
        account, jid = StreamRecord.parse(key).split("/")
        stored = [each for each in record.chunks if not each.digest]
        keys = [layout.chunk(account, int(jid), each.first) for each in stored]
        for start in range(0, len(keys), _AT_ONCE):
            await self._commits.remove(keys[start : start + _AT_ONCE])
        await self._commits.remove([key])
