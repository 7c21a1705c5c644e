"""Events: what this process does when something was committed, here or by another process.

Events are hints. The state store decides, and a full look at it replaces any event that was missed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from picloud_api.store import layout
from picloud_api.store.layout import PageId
from picloud_api.store.records import BatchId, Event, EventKind, Ready

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from picloud_api.background.recovery import Recovery
    from picloud_api.engine.dependencies.dependency import Dependencies
    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler


class EventDispatcher:
    """Passes events on to the parts of this process that they concern."""

    def __init__(
        self,
        context: Context,
        recovery: Recovery,
        dependencies: Dependencies,
        live: LiveQueries,
        autoscaler: SlotAutoscaler,
    ) -> None:
        self._context = context
        self._view = context.commits.view
        self._recovery = recovery
        self._dependencies = dependencies
        self._live = live
        self._autoscaler = autoscaler
        self._changed = {
            EventKind.CRON: context.crons_changed,
            EventKind.ENDED: context.webhooks_changed,
            EventKind.BUDGET: context.budgets_changed,
            EventKind.MINTED: context.minted_changed,
        }
        self._tasks: set[asyncio.Task[None]] = set()
        context.commits.listen(self.on_event)

    async def stop(self) -> None:
        """Cancel what events have begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def on_event(self, event: Event) -> None:
        """Act on a change that was committed, here or by another process."""
        self._dependencies.on_event(event)
        if event.kind in (EventKind.QUERIED, EventKind.ANSWERED):
            self._live.on_event(event)
            return
        if event.kind is EventKind.KEY:
            self._context.batch_watchers.wake(event.batch)
            return
        self._context.account_changes.note(event.account, event.batch)
        if event.kind in (EventKind.FINISHED, EventKind.STARTED):
            self._context.batch_watchers.wake(event.batch)
        elif event.kind is EventKind.READY:
            task = asyncio.create_task(self._offer_if_ready(event.batch_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (changed := self._changed.get(event.kind)) is not None:
            changed.set()
        elif event.kind is EventKind.KILL:
            for session in self._context.slot_sessions.all():
                if session.pool.account == event.account:
                    session.wake_all()

    async def _offer_if_ready(self, batch: BatchId) -> None:
        ready: Ready | None = await self._view.get(layout.ready(*batch))
        if ready is not None:
            self.offer(batch, ready)

    def offer(self, batch: BatchId, ready: Ready) -> None:
        """Queue a batch, and find slots for its jobs."""
        self._context.ready_queue.offer(*batch, ready)
        self._context.slot_sessions.wake(ready.pool, ready.count)
        self._autoscaler.scale_up_if_needed(ready.pool, ready.first)

    async def resync(self) -> None:
        """Look at everything: more changed than the change logs of the others still list."""
        self._view.forget_all()
        self._dependencies.forget()
        await self._recovery.recover()
        self._context.batch_watchers.wake_all()
        self._context.account_changes.note_all()
        for changed in self._changed.values():
            changed.set()

    async def on_remote_events(self, events: Sequence[Event]) -> bool:
        """Act on changes of other processes; return whether anything here waited for one of them.

        What is needed at once is read in one request, the rest when it is next needed.
        """
        view = self._view
        view.invalidate_reads()
        concerned = any(self._concerns(event) for event in events)
        made = {each.batch_id: layout.ready(*each.batch_id) for each in events if each.made}
        wanted = [*made.values(), *self._jid_keys({batch.account for batch in made})]
        for batch in {event.batch_id for event in events}:
            watched = self._context.batch_watchers.watched(batch.batch)
            pages = view.pages_of(*batch) if watched else []
            if pages:
                wanted += [layout.ready(*batch), *pages, *_first_results(pages)]
            else:
                view.forget_batch(*batch)
        await view.reload(wanted)
        for event in events:
            if event.made:
                self._context.account_changes.note(event.account, event.batch)
            else:
                self.on_event(event)
        await self._queue_made({batch: view.peek(key) for batch, key in made.items()})
        return concerned

    def _concerns(self, event: Event) -> bool:
        if event.made:
            return self._context.slot_sessions.waits(event.account)
        if event.kind in (EventKind.FINISHED, EventKind.STARTED, EventKind.KEY):
            watched = self._context.batch_watchers.watched(event.batch)
            return watched or self._dependencies.watched(event.batch)
        return True

    async def _queue_made(self, made: Mapping[BatchId, Ready | None]) -> None:
        """Queue what others made or gave back; all pages are read in one request.

        A batch whose ready marker was removed meanwhile has finished.
        """
        unfinished = {batch: ready for batch, ready in made.items() if ready is not None}
        await self._view.reload(
            [
                layout.page(PageId(*batch, number))
                for batch, ready in unfinished.items()
                for number in range(ready.pages)
            ]
        )
        for batch, ready in unfinished.items():
            await self._recovery.queue_free_pages(batch, ready)
            self._autoscaler.scale_up_if_needed(ready.pool, ready.first)

    def _jid_keys(self, accounts: Iterable[str]) -> list[str]:
        """Return the keys that each submit of these accounts writes, as far as they are cached."""
        keys = []
        for account in accounts:
            following: int | None = self._view.peek(layout.next_jid(account))
            if following:
                keys += [layout.next_jid(account), layout.block(account, following)]
        return keys


def _first_results(pages: Sequence[str]) -> list[str]:
    """Return the key of a call's result, which its client asks for once the page says it is there.

    A map has several pages: of it nothing is read ahead.
    """
    page = layout.page_of(pages[0]) if len(pages) == 1 else None
    return [layout.results(page, 0)] if page is not None else []
