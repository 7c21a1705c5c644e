"""The reaper: removes slots that have ended, and takes back their leases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from picloud_model.errors import PiCloudError

from picloud_api.engine.jobs.fence import Blame
from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.store import layout
from picloud_api.store.records import Ready, Slot
from picloud_api.usecases.accounts.slot_token import slot_number
from picloud_api.usecases.slots.deaths import TOGETHER_S

if TYPE_CHECKING:
    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.background.recovery import Recovery
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler
    from picloud_api.usecases.jobs.kill import KillJobs
    from picloud_api.usecases.slots.slot import Slots

SLOT_TTL_S: Final = 20.0
"""A slot that was silent for so long is lost, unless its scheduler reports its end before."""
CHECK_EVERY_S: Final = 1.0
"""How often the sessions of this process are checked for silent slots."""
SUSPENDED_S: Final = 5.0
"""A check that is late by so much means that this process was suspended and received nothing."""
ENDED_TIMEOUT_S: Final = 10.0
"""How long one request for ended slots waits at the scheduler."""

_log = structlog.get_logger()


class Reaper:
    """Compares the slots that are stored with those that run."""

    def __init__(
        self,
        context: Context,
        recovery: Recovery,
        slots: Slots,
        autoscaler: SlotAutoscaler,
        scheduler: SchedulerPort,
        *,
        kill: KillJobs,
    ) -> None:
        self._context = context
        self._view = context.commits.view
        self._recovery = recovery
        self._slots = slots
        self._autoscaler = autoscaler
        self._scheduler = scheduler
        self._kill = kill
        self._listening_since = self._checked_at = context.clock()
        self._removals: dict[int, asyncio.Task[None]] = {}
        self._unchanged: dict[int, tuple[float, float]] = {}

    async def adopt(self) -> None:
        """Take in the slots that outlived a killed server: they count as live before they call."""
        running = await self._running()
        for slot in (await self._view.scan(Slot.prefix)).values():
            if slot.place in running:
                self._context.slot_sessions.add(SlotSession(slot, self._context.clock()))

    async def remove_ended(self) -> None:
        """Remove the slots whose end the scheduler reports next."""
        for end in await self._scheduler.ended(timeout_s=ENDED_TIMEOUT_S):
            number = slot_number(end.place)
            slot: Slot | None = await self._view.get(layout.slot(number))
            if slot is not None and not end.clean:
                self._autoscaler.back_off(slot)
            blame = Blame.OUTSIDE if end.clean or end.ended_from_outside else None
            self._context.slot_sessions.remove(number)
            if slot is not None:
                self._remove_soon(number, end.detail, blame)
            self._autoscaler.scale_up_all()

    def _remove_soon(self, number: int, detail: str, blame: Blame | None = None) -> None:
        """Remove a slot that has ended, as soon as it is known whether it died alone.

        Args:
            number: The slot's number.
            detail: What is known of its end.
            blame: Why it ended; None if that depends on the deaths of others.
        """
        if number in self._removals:
            return
        self._context.slot_sessions.remove(number)
        self._context.slot_sessions.ended.add(number)
        if blame is None:
            self._slots.deaths.record(number)
        self._removals[number] = asyncio.create_task(self._remove(number, detail, blame))

    async def _remove(self, number: int, detail: str, blame: Blame | None) -> None:
        try:
            if blame is None:
                await self._slots.end_killed(number)
                await asyncio.sleep(TOGETHER_S)
                slot: Slot | None = await self._view.fresh(layout.slot(number))
                blame = Blame.OUTSIDE if slot is None else self._slots.deaths.blame(slot)
            await self._slots.remove(number, blame, detail)
            self._autoscaler.scale_up_all()
        except PiCloudError as error:
            # The next full comparison finds the slot again.
            _log.warning("reaper.unavailable", reason=error.message)
        finally:
            self._context.slot_sessions.ended.discard(number)
            del self._removals[number]

    async def stop(self) -> None:
        """Leave the slots that were not removed yet to the next server."""
        removals = list(self._removals.values())
        for removal in removals:
            removal.cancel()
        await asyncio.gather(*removals, return_exceptions=True)

    async def remove_silent(self) -> None:
        """Remove the slots of this process that were silent for too long."""
        now = self._context.clock()
        if not 0 <= now - self._checked_at <= CHECK_EVERY_S + SUSPENDED_S:
            self._excuse_all(now)
        for session in self._context.slot_sessions.all():
            if now - session.seen_at > SLOT_TTL_S and session.waiting is None:
                await self._expire(session)
        self._checked_at = self._context.clock()

    def _excuse_all(self, now: float) -> None:
        """Do not count the time in which this process was suspended as silence of slots.

        Nor may a step of the clock count, in either direction.
        """
        self._listening_since = now
        self._unchanged.clear()
        for session in self._context.slot_sessions.all():
            session.seen_at = now

    async def _expire(self, session: SlotSession) -> None:
        key = layout.slot(session.number)
        self._view.forget([key])
        slot: Slot | None = await self._view.get(key)
        if slot is None or slot.seen_at == session.slot.seen_at:
            self._remove_soon(session.number, "silent for 20 s")
        else:
            # Another process has written the record since: now it talks with that one.
            self._context.slot_sessions.remove(session.number)

    async def resync(self) -> None:
        """Compare all slots and unfinished batches with the store, whatever the events were."""
        # In this order: a slot that registers in between is in neither list that is compared.
        slots = (await self._view.scan(Slot.prefix)).values()
        running = await self._running()
        now = self._context.clock()
        for slot in slots:
            if slot.place not in running:
                self._remove_soon(slot.number, "its place is gone")
            elif self._is_silent(slot, now):
                self._remove_soon(slot.number, "silent for 20 s")
        stored = {slot.number for slot in slots}
        self._unchanged = {each: it for each, it in self._unchanged.items() if each in stored}
        queued = self._context.ready_queue.ids()
        unfinished = await self._view.scan(Ready.prefix)
        for batch in queued.difference(map(Ready.parse, unfinished)):
            # Another process has leased its last job: no slot has looked for it here.
            self._context.ready_queue.drop(*batch)
        killed = await self._slots.reclaim(stored, unfinished)
        for page_id, attempts in killed.items():
            # Those of an API process that has ended since, which would have done it.
            self._kill.force_soon(page_id, attempts)
        await self._recovery.queue_free(unfinished)
        self._context.batch_watchers.wake_all()

    def _is_silent(self, slot: Slot, now: float) -> bool:
        """Whether a slot without a session here was silent for too long.

        Its record is written by another machine, whose clock may differ: what counts is how long
        the record has not changed, by the clock of this one.
        """
        seen_at, since = self._unchanged.get(slot.number, (0.0, now))
        if seen_at != slot.seen_at:
            self._unchanged[slot.number] = (slot.seen_at, now)
            return False
        is_known = self._context.slot_sessions.get(slot.number) is not None
        return now - max(since, self._listening_since) > SLOT_TTL_S and not is_known

    async def _running(self) -> set[str]:
        """Return the places of the slots that the scheduler runs or is about to run."""
        return {presence.place for presence in await self._scheduler.slots()}
