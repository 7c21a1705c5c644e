"""The reaper: removes slots that have ended, and takes back their leases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_api.engine.process.slot_sessions import SlotSession
from picloud_api.store import layout
from picloud_api.store.records import Ready, Slot
from picloud_api.usecases.accounts.slot_token import slot_number

if TYPE_CHECKING:
    from picloud_driver.scheduler import SchedulerPort

    from picloud_api.background.recovery import Recovery
    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler
    from picloud_api.usecases.slots.slot import Slots

SLOT_TTL_S: Final = 20.0
"""A slot that was silent for so long is lost, unless its scheduler reports its end before."""
CHECK_EVERY_S: Final = 1.0
"""How often the sessions of this process are checked for silent slots."""
SUSPENDED_S: Final = 5.0
"""A check that is late by so much means that this process was suspended and received nothing."""
ENDED_TIMEOUT_S: Final = 10.0
"""How long one request for ended slots waits at the scheduler."""


class Reaper:
    """Compares the slots that are stored with those that run."""

    def __init__(
        self,
        context: Context,
        recovery: Recovery,
        slots: Slots,
        autoscaler: SlotAutoscaler,
        scheduler: SchedulerPort,
    ) -> None:
        self._context = context
        self._view = context.commits.view
        self._recovery = recovery
        self._slots = slots
        self._autoscaler = autoscaler
        self._scheduler = scheduler
        self._listening_since = self._checked_at = context.clock()

    async def adopt(self) -> None:
        """Take in the slots that outlived a killed server: they count as live before they call."""
        running = await self._running()
        for slot in (await self._view.scan(Slot.prefix)).values():
            if slot.place in running:
                self._context.slot_sessions.add(SlotSession(slot, self._context.clock()))

    async def remove_ended(self) -> None:
        """Remove the slots whose end the scheduler reports next."""
        for end in await self._scheduler.ended(timeout_s=ENDED_TIMEOUT_S):
            slot = await self._slots.remove(slot_number(end.place), lost=True, detail=end.detail)
            if slot is not None and not end.clean:
                self._autoscaler.back_off(slot)
            self._autoscaler.scale_up_all()

    async def remove_silent(self) -> None:
        """Remove the slots of this process that were silent for too long."""
        now = self._context.clock()
        if now - self._checked_at > CHECK_EVERY_S + SUSPENDED_S:
            self._excuse_all(now)
        for session in self._context.slot_sessions.all():
            if now - session.seen_at > SLOT_TTL_S and session.waiting is None:
                await self._expire(session.number, now)
        self._checked_at = self._context.clock()

    def _excuse_all(self, now: float) -> None:
        """Do not count the time in which this process was suspended as silence of slots."""
        self._listening_since = now
        for session in self._context.slot_sessions.all():
            session.seen_at = now

    async def _expire(self, number: int, now: float) -> None:
        self._view.forget([layout.slot(number)])
        slot: Slot | None = await self._view.get(layout.slot(number))
        if slot is None or now - slot.seen_at > SLOT_TTL_S:
            await self._slots.remove(number, lost=True, detail="silent for 20 s")
        else:
            self._context.slot_sessions.remove(number)  # now it talks with another process

    async def resync(self) -> None:
        """Compare all slots and unfinished batches with the store, whatever the events were."""
        running = await self._running()
        now = self._context.clock()
        slots = (await self._view.scan(Slot.prefix)).values()
        for slot in slots:
            if slot.place not in running:
                await self._slots.remove(slot.number, lost=True, detail="its place is gone")
            elif self._is_silent(slot, now):
                await self._slots.remove(slot.number, lost=True, detail="silent for 20 s")
        unfinished = await self._view.scan(Ready.prefix)
        await self._slots.reclaim({slot.number for slot in slots}, unfinished)
        await self._recovery.queue_free(unfinished)
        self._context.batch_watchers.wake_all()

    def _is_silent(self, slot: Slot, now: float) -> bool:
        """Whether a slot without a session here was silent for too long."""
        silent_s = now - max(slot.seen_at, self._listening_since)
        return silent_s > SLOT_TTL_S and self._context.slot_sessions.get(slot.number) is None

    async def _running(self) -> set[str]:
        """Return the places of the slots that the scheduler runs or is about to run."""
        return {presence.place for presence in await self._scheduler.slots()}
