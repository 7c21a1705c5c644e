"""Dependencies: watches the jobs that batches depend on, and ends the wait of these batches.

A batch that waits has a `Waiting` record with the jids it depends on; its jobs are in the state
WAITING. Every process reads these records, watches one job for each prerequisite, and ends the wait
as soon as it can decide how. Final states never change, so all processes decide the same, and a
slower one finds nothing left to do.
"""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

from picloud_api.engine.dependencies.prerequisite import (
    Prerequisite,
    Watches,
    evaluate,
    failed_jids,
    failure_among,
)
from picloud_api.engine.dependencies.release import release_or_stall
from picloud_api.engine.process.bulk_change import BulkChange
from picloud_api.store import layout
from picloud_api.store.layout import PageId
from picloud_api.store.records import BatchId, EventKind, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_model.ranges import Range

    from picloud_api.engine.dependencies.release import LeaseReleased
    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.store.records import Event, Header

PAGES_AT_ONCE: Final = 8
"""Pages that leave WAITING in one transaction: stalled ones have 15 kB each."""
BATCHES_AT_ONCE: Final = 30
"""Batches whose wait ends together: as many calls as fit a transaction of 64 operations."""
RELEASED_AT_ONCE: Final = 4
"""Calls that are released in the transaction in which a job ends, besides what else is in that."""
EVALUATED_AT_ONCE: Final = 200
"""Prerequisites that are evaluated before other events have their turn."""

_log = structlog.get_logger()


class Dependencies:
    """Ends the wait of batches; reads nothing while no batch waits.

    Args:
        context: What all use cases share.
        lease: Leases jobs of a batch whose wait ends to a slot that has nothing to do.
    """

    def __init__(self, context: Context, lease: LeaseReleased) -> None:
        self._lease = lease
        self._commits = context.commits
        self._view = context.commits.view
        self._clock = context.clock
        self._turns = context.turns
        self._prerequisites: dict[tuple[str, tuple[Range, ...], bool], Prerequisite] = {}
        self._failing_fast: set[Prerequisite] = set()
        self._known: dict[BatchId, Prerequisite] = {}
        self._watches = Watches()
        self._fresh: set[BatchId] = set()
        self._failed: set[BatchId] = set()
        self._ended: set[str] = set()
        self._due: set[Prerequisite] = set()
        self._task: asyncio.Task[None] | None = None
        self._open = True

    def on_event(self, event: Event) -> None:
        """Note a change that was committed, here or by another process."""
        if event.kind is EventKind.WAITING:
            self._fresh.add(event.batch_id)
        elif event.kind is EventKind.FINISHED and event.batch in self._watches:
            self._ended.add(event.batch)
        elif event.kind is EventKind.FAILED and self._failing_fast:
            self._failed.add(event.batch_id)
        self._begin()

    def watched(self, batch: str) -> bool:
        """Whether a prerequisite watches a job of a batch."""
        return batch in self._watches

    async def release_ended(self, draft: Draft, batch: BatchId, lease: LeaseReleased) -> None:
        """Queue, in the transaction in which jobs of a batch end, the calls that waited for these.

        Only those of which it is known that they wait for nothing else, and not more than a
        transaction has room for: events release the others. `lease` may lease them at once.
        """
        room = RELEASED_AT_ONCE
        for prerequisite in self._watches.of(batch.batch):
            if not prerequisite.ends_with(draft):
                continue
            for name in list(prerequisite.batches)[:room]:
                header: Header | None = await draft.get(layout.header(batch.account, name))
                if header is None or header.pages > 1:
                    continue
                room -= 1
                await release_or_stall(
                    draft,
                    page_ids=[PageId(batch.account, name, 0)],
                    failure=None,
                    now=self._clock(),
                    last=True,
                    lease=lease,
                )

    async def recover(self) -> set[BatchId]:
        """Find waiting batches in the store and evaluate each; return their accounts and ids."""
        waiting = set()
        for key in await self._view.scan(Waiting.prefix):
            batch = Waiting.parse(key)
            waiting.add(batch)
            if batch not in self._known:
                self._fresh.add(batch)
        # A watched batch that does not wait itself may have ended unnoticed.
        self._ended |= self._watches.batches() - {batch.batch for batch in waiting}
        self._due |= {
            prerequisite
            for prerequisite in self._prerequisites.values()
            if prerequisite.verdict is not None or prerequisite.watched is None
        }
        self._begin()
        return waiting

    def forget(self) -> None:
        """Forget everything, as events were missed: `recover` takes in all batches anew."""
        self._prerequisites.clear()
        self._failing_fast.clear()
        self._known.clear()
        self._watches = Watches()

    async def stop(self) -> None:
        """Stop; the next start finds in the store what is left to do."""
        self._open = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def _busy(self) -> bool:
        return bool(self._fresh or self._failed or self._ended or self._due)

    def _begin(self) -> None:
        if self._open and self._busy and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        """Do what is due, one after the other; what fails is found again by a resync."""
        while self._busy:
            try:
                if self._fresh:
                    await self._take_in(self._fresh.pop())
                elif self._failed:
                    await self._apply_failures(self._failed.pop())
                elif self._ended:
                    self._due |= await self._watches.ended(self._view, self._ended.pop())
                else:
                    due = [self._due.pop() for _ in range(min(len(self._due), EVALUATED_AT_ONCE))]
                    await self._end_decided([each for each in due if await self._decided(each)])
            except PiCloudError as error:
                _log.warning("dependency.unavailable", reason=error.message)
            except Exception:  # noqa: BLE001 - one batch must not keep the others waiting
                _log.exception("dependency.failed")
            await asyncio.sleep(0)  # requests are answered in between

    async def _take_in(self, batch: BatchId) -> None:
        account = batch.account
        waiting: Waiting | None = await self._view.get(layout.waiting(*batch))
        if waiting is None or batch in self._known:
            return
        key = (account, tuple(waiting.depends_on), waiting.ignore)
        prerequisite = self._prerequisites.get(key)
        if prerequisite is None:
            prerequisite = self._prerequisites[key] = Prerequisite(account, waiting)
            if prerequisite.fails_fast:
                self._failing_fast.add(prerequisite)
                async with self._turns.of(account) as turn:
                    prerequisite.verdict = await failure_among(
                        self._view, account, prerequisite.jids, turn
                    )
        prerequisite.batches.add(batch.batch)
        self._known[batch] = prerequisite
        self._due.add(prerequisite)

    async def _apply_failures(self, batch: BatchId) -> None:
        """Decide the prerequisites that a failed job of a batch settles early."""
        async with self._turns.of(batch.account) as turn:
            failed = await failed_jids(self._view, *batch, turn)
        for prerequisite in list(self._failing_fast):
            if prerequisite.account != batch.account or prerequisite.verdict is not None:
                continue
            jid = prerequisite.first_of(failed)
            if jid is not None:
                async with self._turns.of(batch.account) as turn:
                    prerequisite.verdict = await failure_among(
                        self._view, batch.account, [(jid, jid)], turn
                    )
                self._due.add(prerequisite)

    async def _decided(self, prerequisite: Prerequisite) -> bool:
        if prerequisite.verdict is None:
            async with self._turns.of(prerequisite.account) as turn:
                prerequisite.verdict = await evaluate(self._view, self._watches, prerequisite, turn)
        return prerequisite.verdict is not None

    async def _end_decided(self, prerequisites: Iterable[Prerequisite]) -> None:
        for prerequisite in prerequisites:
            self._watches.drop(prerequisite)
        ends = (
            (prerequisite, batch, prerequisite.verdict.failure)
            for prerequisite in prerequisites
            for batch in list(prerequisite.batches)
            if prerequisite.verdict is not None
        )
        while group := list(islice(ends, BATCHES_AT_ONCE)):
            await asyncio.gather(
                *(
                    self._end(BatchId(prerequisite.account, batch), failure)
                    for prerequisite, batch, failure in group
                )
            )
            for prerequisite, batch, _ in group:
                prerequisite.batches.discard(batch)
                self._known.pop(BatchId(prerequisite.account, batch), None)
        for prerequisite in prerequisites:
            if not prerequisite.batches:
                self._failing_fast.discard(prerequisite)
                key = (prerequisite.account, tuple(prerequisite.jids), prerequisite.ignore)
                self._prerequisites.pop(key, None)

    async def _end(self, batch: BatchId, failure: bytes | None) -> None:
        """Release the jobs of a batch, or stall them, some pages at a time."""
        header: Header | None = await self._view.get(layout.header(*batch))
        pages = header.pages if header else 0
        # Not fewer while others wait: none of its jobs begins before the last page.
        bulk = BulkChange(self._commits, self._turns, least=PAGES_AT_ONCE, most=PAGES_AT_ONCE)

        async def change(page_ids: Sequence[PageId]) -> None:
            plan = partial(
                release_or_stall,
                page_ids=page_ids,
                failure=failure,
                now=self._clock(),
                last=page_ids[-1].page == pages - 1,
                lease=self._lease,
            )
            async with self._turns.of(batch.account):
                await self._commits.run(plan)

        for start in range(0, pages, PAGES_AT_ONCE):
            numbers = range(start, min(pages, start + PAGES_AT_ONCE))
            group = [PageId(*batch, number) for number in numbers]
            # Ahead: commits of all accounts wait while a plan reads, over a network page by page.
            await self._view.load(map(layout.page, group))
            await bulk.through(group, change)
