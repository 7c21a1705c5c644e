"""Reconcile: what runs in the background so that nothing stays in limbo."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

from picloud_api.background.notifier import Notifier
from picloud_api.engine.dependencies.dependency import Dependencies
from picloud_api.engine.jobs.fence import has_free
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.engine.scheduling.deadlock import Deadlock
from picloud_api.store import layout
from picloud_api.store.records import Event, EventKind, Ready, Slot
from picloud_api.store.sealing import AT_ONCE, Sealing
from picloud_api.usecases.accounts.slot_token import slot_number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler
    from picloud_api.usecases.slots.slot import Slots

SLOT_TTL_S: Final = 20.0
"""A slot silent for so long is lost, when nothing reports it dead sooner."""
RESYNC_S: Final = 10.0
"""How often everything is read and compared, whatever the events said."""
TICK_S: Final = 1.0
AWAY_S: Final = 5.0
"""A tick late by so much means that time passed in which this process could not listen."""
LOCK_TTL_S: Final = 10.0
SEAL_AFTER_S: Final = 60.0
"""How long a finished batch stays in the state store: most results are asked for at once."""

_log = structlog.get_logger()


class Reconcile:
    """Listens to events, bells and the scheduler; compares its view with theirs."""

    def __init__(
        self,
        context: Context,
        slots: Slots,
        live: LiveQueries,
        autoscaler: SlotAutoscaler,
        scheduler: SchedulerPort,
    ) -> None:
        self._live = live
        self._commits = context.commits
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._slots = slots
        self._autoscaler = autoscaler
        self._sealing = Sealing(context.commits.view.state, context.archive)
        self._scheduler = scheduler
        self._dependencies = Dependencies(context)
        self._tasks: list[asyncio.Task[None]] = []
        self._notifier = Notifier(context, self)
        self._deadlock = Deadlock(context)
        self._since = context.clock()
        context.commits.listen(self.hear)

    async def start(self) -> None:
        """Read what is unfinished, then begin to watch."""
        shared = self._commits.view.state.shared
        if shared:
            # Before the full look: what is rung from now on may be missing in it.
            await self._notifier.start()
        else:
            await self._meet_slots()
        await self.recover()
        loops: list[Callable[[], Awaitable[None]]] = [self._bury_ended, self._tick, self._resync]
        if shared:
            loops += [self._notifier.listen, self._notifier.keep_ringing, self._lead]
        if self._commits.view.state.bounded:
            loops.append(self._seal)
        self._tasks = [asyncio.create_task(self._forever(loop)) for loop in loops]

    async def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dependencies.stop()

    async def _meet_slots(self) -> None:
        """Slots outlive a server that was killed: they count as live before they call again."""
        present = {presence.place for presence in await self._scheduler.slots()}
        for slot in (await self._commits.view.scan("slots/")).values():
            if slot.place in present:
                self._sessions.add(SlotSession(slot, self._clock()))

    async def recover(self) -> None:
        """Queue unfinished batches that have jobs to lease; find those with unmet dependencies."""
        await self._queue_free(await self._commits.view.scan(layout.READY))

    async def _queue_free(self, unfinished: Mapping[str, Ready]) -> None:
        waiting = await self._dependencies.recover()
        for name, ready in unfinished.items():
            _, account, batch = name.split("/")
            if not self._queue.knows(account, batch) and (account, batch) not in waiting:
                await self._queue_free_pages(account, batch, ready)
        self._autoscaler.scale_up_all()

    async def _queue_free_pages(self, account: str, batch: str, ready: Ready) -> None:
        for number in range(ready.pages):
            page = await self._commits.view.get(layout.page(layout.PageId(account, batch, number)))
            if page is not None and has_free(page):
                self._queue.give_back(account, batch, number, ready)
        if self._queue.knows(account, batch):
            self._sessions.wake(ready.pool, ready.count)

    def hear(self, event: Event) -> None:
        """Act on a change that was committed, here or by another process."""
        self._dependencies.hear(event)
        if event.kind in (EventKind.QUERIED, EventKind.ANSWERED):
            self._live.on_event(event)
        if event.kind in (EventKind.FINISHED, EventKind.STARTED):
            self._watchers.wake(event.batch)
        if event.kind not in (EventKind.READY, EventKind.KILL):
            return
        task = asyncio.create_task(self._act(event))
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    async def _act(self, event: Event) -> None:
        view = self._commits.view
        if event.kind is EventKind.KILL:
            for session in self._sessions.all():
                if session.pool.account == event.account:
                    session.wake_all()
            return
        ready: Ready | None = await view.get(layout.ready(event.account, event.batch))
        if ready is not None:
            self._offer(event.account, event.batch, ready)

    def _offer(self, account: str, batch: str, ready: Ready) -> None:
        self._queue.offer(account, batch, ready)
        self._sessions.wake(ready.pool, ready.count)
        self._autoscaler.scale_up_if_needed(ready.pool, ready.first)

    async def _forever(self, loop: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await loop()
            except PiCloudError as error:
                _log.warning("reconcile.unavailable", reason=error.message)
                await asyncio.sleep(TICK_S)
            except Exception:  # noqa: BLE001 - a loop that ends leaves jobs in limbo
                _log.exception("reconcile.failed")
                await asyncio.sleep(TICK_S)

    async def _bury_ended(self) -> None:
        for end in await self._scheduler.ended(timeout_s=10.0):
            number = slot_number(end.place)
            slot = await self._slots.remove(number, lost=True, detail=end.detail)
            if slot is not None and not end.clean:
                self._autoscaler.back_off(slot)
            self._autoscaler.scale_up_all()

    async def _tick(self) -> None:
        began = self._clock()
        await asyncio.sleep(TICK_S)
        now = self._clock()
        if now - began > TICK_S + AWAY_S:
            self._excuse_all(now)
        for session in self._sessions.all():
            if now - session.seen_at > SLOT_TTL_S and session.waiting is None:
                await self._expire(session.number, now)
        await self._deadlock.resolve()
        self._autoscaler.release_idle()
        self._autoscaler.scale_up_all()

    def _excuse_all(self, now: float) -> None:
        """This process was stopped or its machine slept: whoever called then was not heard."""
        self._since = now
        for session in self._sessions.all():
            session.seen_at = now

    async def _expire(self, number: int, now: float) -> None:
        self._commits.view.forget([layout.slot(number)])
        slot: Slot | None = await self._commits.view.get(layout.slot(number))
        if slot is None or now - slot.seen_at > SLOT_TTL_S:
            await self._slots.remove(number, lost=True, detail="silent for 20 s")
        else:
            self._sessions.remove(number)  # it talks with another process now

    async def _resync(self) -> None:
        present = {presence.place for presence in await self._scheduler.slots()}
        now = self._clock()
        slots = (await self._commits.view.scan("slots/")).values()
        for slot in slots:
            if slot.place not in present:
                await self._slots.remove(slot.number, lost=True, detail="its place is gone")
            elif (
                now - max(slot.seen_at, self._since) > SLOT_TTL_S
                and self._sessions.get(slot.number) is None
            ):
                await self._slots.remove(slot.number, lost=True, detail="silent for 20 s")
        unfinished = await self._commits.view.scan(layout.READY)
        await self._slots.reclaim({slot.number for slot in slots}, unfinished)
        await self._queue_free(unfinished)
        self._watchers.wake_all()
        await asyncio.sleep(RESYNC_S)

    async def _lead(self) -> None:
        """Hold the lock that lets one process alone start bursts, or wait for it."""
        self._autoscaler.is_leader = False
        lock = await self._commits.view.state.lock("reconcile", LOCK_TTL_S)
        if lock is None:
            await asyncio.sleep(TICK_S)
            return
        self._autoscaler.is_leader = True
        self._autoscaler.scale_up_all()
        try:
            while await lock.held():  # noqa: ASYNC110 - a store tells only whoever asks
                await asyncio.sleep(TICK_S)
        finally:
            self._autoscaler.is_leader = False
            await lock.release()

    async def _seal(self) -> None:
        """Move what finished a while ago out of a state store that is to stay small."""
        await asyncio.sleep(RESYNC_S)
        if self._autoscaler.is_leader:
            await self.seal_finished()

    async def seal_finished(self) -> None:
        """Seal every batch that finished more than a minute ago; readers find it as before."""
        found = await self._commits.view.scan("finished/")
        due = [
            _batch_key(name)
            for name, finished in found.items()
            if self._clock() - finished.finished_at > SEAL_AFTER_S
        ]
        for start in range(0, len(due), AT_ONCE):
            some = due[start : start + AT_ONCE]
            # What lies in a page's place is not ours. The others are sealed all the same.
            for (_, batch), fault in (await self._sealing.seal(some)).items():
                _log.error("seal.failed", batch=batch, reason=fault.message)
            for key in some:
                self._commits.view.forget_sealed(*key)
                self._commits.view.forget([layout.finished(*key)])

    async def resync(self) -> None:
        """Too much was missed to be told one by one: only a full look says what."""
        self._commits.view.forget_all()
        self._dependencies.forget()
        await self.recover()
        self._watchers.wake_all()

    async def on_remote_events(self, events: Sequence[Event]) -> bool:
        """Act on what other processes changed; whether somebody here waited for some of it.

        What is wanted at once is read together, the rest when it is next asked for.
        """
        view = self._commits.view
        view.invalidate_reads()
        concerned = any(self._concerns(event) for event in events)
        made = {each.batch_key: layout.ready(*each.batch_key) for each in events if each.made}
        wanted = [*made.values(), *self._jid_keys({account for account, _ in made})]
        for account, batch in {event.batch_key for event in events}:
            pages = view.pages_of(account, batch) if self._watchers.watched(batch) else []
            if pages:
                wanted += [layout.ready(account, batch), *pages, *_first_results(pages)]
            else:
                view.forget_batch(account, batch)
        await view.reload(wanted)
        for event in events:
            if not event.made:
                self.hear(event)
        await self._queue_again({batch: view.peek(name) for batch, name in made.items()})
        return concerned

    def _concerns(self, event: Event) -> bool:
        if event.made:
            return self._sessions.waits(event.account)
        if event.kind in (EventKind.FINISHED, EventKind.STARTED):
            return self._watchers.watched(event.batch) or self._dependencies.watched(event.batch)
        return True

    async def _queue_again(self, made: Mapping[tuple[str, str], Ready | None]) -> None:
        """Others made batches, or gave jobs back: look which pages have some, all at once.

        What was made so fast that it is over already is not looked at further.
        """
        left = {batch: ready for batch, ready in made.items() if ready is not None}
        pages = [
            layout.page(layout.PageId(*batch, number))
            for batch, ready in left.items()
            for number in range(ready.pages)
        ]
        await self._commits.view.reload(pages)
        for (account, batch), ready in left.items():
            await self._queue_free_pages(account, batch, ready)
            self._autoscaler.scale_up_if_needed(ready.pool, ready.first)

    def _jid_keys(self, accounts: Iterable[str]) -> list[str]:
        """What each submit of an account writes, where it is known here: it just became old."""
        found = []
        for account in accounts:
            following: int | None = self._commits.view.peek(layout.next_jid(account))
            if following:
                found += [layout.next_jid(account), layout.block(account, following)]
        return found


def _batch_key(name: str) -> tuple[str, str]:
    """Account and batch that a marker is of."""
    _, account, batch = name.split("/")
    return account, batch


def _first_results(pages: Sequence[str]) -> list[str]:
    """Where the result of a call lies, which is asked for as soon as its page says that it is."""
    place = layout.place_of(pages[0]) if len(pages) == 1 else None
    return [layout.results(place, 0)] if place is not None else []
