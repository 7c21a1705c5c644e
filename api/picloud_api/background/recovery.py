"""Recovery: rebuilds the ready queue of this process from the state store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from picloud_api.engine.jobs.fence import has_free
from picloud_api.engine.jobs.locate import pages_of
from picloud_api.store.layout import UnreadableRecord
from picloud_api.store.records import Ready

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_api.engine.dependencies.dependency import Dependencies
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler
    from picloud_api.store.records import BatchId

_log = structlog.get_logger()


class Recovery:
    """Queues batches with free jobs that are not queued yet."""

    def __init__(
        self, context: Context, dependencies: Dependencies, autoscaler: SlotAutoscaler
    ) -> None:
        self._context = context
        self._view = context.commits.view
        self._dependencies = dependencies
        self._autoscaler = autoscaler

    async def recover(self) -> None:
        """Queue unfinished batches with free jobs, and find those with unmet dependencies."""
        await self.queue_free(await self._view.scan(Ready.prefix))

    async def queue_free(self, unfinished: Mapping[str, Ready]) -> None:
        """Do the same for the ready markers of all batches, given by their keys."""
        waiting = await self._dependencies.recover()
        for key, ready in unfinished.items():
            batch = Ready.parse(key)
            if not self._context.ready_queue.knows(*batch) and batch not in waiting:
                try:
                    await self.queue_free_pages(batch, ready)
                except UnreadableRecord as error:
                    _log.warning("recovery.unreadable", reason=error.message)
        self._autoscaler.scale_up_all()

    async def queue_free_pages(self, batch: BatchId, ready: Ready) -> None:
        """Queue the pages of a batch that have free jobs, and wake slots for them."""
        async with self._context.turns.of(batch.account) as turn:
            async for page_id, page in pages_of(self._view, batch, ready.pages, turn):
                if has_free(page):
                    self._context.ready_queue.give_back(*page_id, ready)
        if self._context.ready_queue.knows(*batch):
            self._context.slot_sessions.wake(ready.pool, ready.count)
