"""Dependencies: jobs that wait until others have ended, and what becomes of them then.

A batch that waits leaves a `waiting/` key with the jids it depends on; its pages say WAITING. Every
process derives from these keys what to look after, watches one job for each prerequisite, ends the
waiting as soon as it can tell how: final states never change, so all of them decide the same, and
whoever is slower finds nothing left to do.
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
from picloud_api.engine.dependencies.release import change
from picloud_api.store import layout
from picloud_api.store.records import BatchId, EventKind, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from picloud_model.ranges import Range

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Event, Header

PAGES_AT_ONCE: Final = 8
"""Pages that leave WAITING in one transaction: stalled ones are 15 kB each."""
BATCHES_AT_ONCE: Final = 30
"""Batches whose waiting ends at once: as many calls as share a transaction of 64 operations."""
JUDGED_AT_ONCE: Final = 200
"""Prerequisites judged before others have their turn."""

_log = structlog.get_logger()


class Dependencies:
    """Ends the waiting of batches; does nothing, and reads nothing, while none waits."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._view = context.commits.view
        self._clock = context.clock
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
        """Whether somebody here waits for the end of a batch."""
        return batch in self._watches

    async def recover(self) -> set[BatchId]:
        """Find waiting batches in the store and evaluate each; return their accounts and ids."""
        found = set()
        for key in await self._view.scan(Waiting.prefix):
            batch = Waiting.parse(key)
            found.add(batch)
            if batch not in self._known:
                self._fresh.add(batch)
        # Whoever waits for a batch that waits itself is told when that ends.
        self._ended |= self._watches.batches() - {batch.batch for batch in found}
        self._due |= {
            prerequisite
            for prerequisite in self._prerequisites.values()
            if prerequisite.verdict is not None or prerequisite.watched is None
        }
        self._begin()
        return found

    def forget(self) -> None:
        """Signals were missed: what `recover` finds next is judged as if it were new."""
        self._prerequisites.clear()
        self._failing_fast.clear()
        self._known.clear()
        self._watches = Watches()

    async def stop(self) -> None:
        """Stop; a start finds in the store what is left to do."""
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
        """Do what is due, one after the other, until nothing is; a resync finds what failed."""
        while self._busy:
            try:
                if self._fresh:
                    await self._take_in(self._fresh.pop())
                elif self._failed:
                    await self._look_at_failures(self._failed.pop())
                elif self._ended:
                    self._due |= await self._watches.ended(self._view, self._ended.pop())
                else:
                    due = [self._due.pop() for _ in range(min(len(self._due), JUDGED_AT_ONCE))]
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
                prerequisite.verdict = await failure_among(self._view, account, prerequisite.asked)
        prerequisite.batches.add(batch.batch)
        self._known[batch] = prerequisite
        self._due.add(prerequisite)

    async def _look_at_failures(self, batch: BatchId) -> None:
        """Jobs of a batch failed: those who depend on one of them need not wait for the others."""
        failed = await failed_jids(self._view, *batch)
        for prerequisite in list(self._failing_fast):
            if prerequisite.account != batch.account or prerequisite.verdict is not None:
                continue
            jid = prerequisite.first_of(failed)
            if jid is not None:
                prerequisite.verdict = await failure_among(self._view, batch.account, [(jid, jid)])
                self._due.add(prerequisite)

    async def _decided(self, prerequisite: Prerequisite) -> bool:
        if prerequisite.verdict is None:
            prerequisite.verdict = await evaluate(self._view, self._watches, prerequisite)
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
        while some := list(islice(ends, BATCHES_AT_ONCE)):
            await asyncio.gather(
                *(
                    self._end(prerequisite.account, batch, told)
                    for prerequisite, batch, told in some
                )
            )
            for prerequisite, batch, _ in some:
                prerequisite.batches.discard(batch)
                self._known.pop(BatchId(prerequisite.account, batch), None)
        for prerequisite in prerequisites:
            if not prerequisite.batches:
                self._failing_fast.discard(prerequisite)
                key = (prerequisite.account, tuple(prerequisite.asked), prerequisite.ignore)
                self._prerequisites.pop(key, None)

    async def _end(self, account: str, batch: str, told: bytes | None) -> None:
        """Let the jobs of a batch begin, or stall them, some pages at a time."""
        header: Header | None = await self._view.get(layout.header(account, batch))
        pages = header.pages if header else 0
        for start in range(0, pages, PAGES_AT_ONCE):
            numbers = range(start, min(pages, start + PAGES_AT_ONCE))
            plan = partial(
                change,
                page_ids=[layout.PageId(account, batch, number) for number in numbers],
                told=told,
                now=self._clock(),
                last=numbers.stop == pages,
            )
            await self._commits.run(plan)
