"""The autoscaler: requests slots from the scheduler when jobs wait, and lets idle ones end."""

from __future__ import annotations

import asyncio
import secrets as entropy
from typing import TYPE_CHECKING, Final

import structlog
from picloud_driver.scheduler import Burst
from picloud_model.errors import PiCloudError

from picloud_api.store.records import Slot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.scheduler import Pool, SchedulerPort

    from picloud_api.engine.process.context import Context

SHORT_LIFE_S: Final = 10.0
"""A slot that is lost so soon after its start may have a problem that every slot would have."""
FIRST_PAUSE_S: Final = 0.1
"""How long the next burst waits after one such loss; each further one doubles the pause."""
LONGEST_PAUSE_S: Final = 2.0
PATIENCE_S: Final = 1.0
"""How long requested slots may be missing before idle slots of other pools make room for them;
also the pause after the scheduler refused a burst."""
FULL_S: Final = 0.2
"""How long a pool that has as many slots as it may have is not checked for each new batch."""
RELEASED_S: Final = 5.0
"""How long a slot may take to come after idle slots were ended for it, before more are."""
STARTING_S: Final = 30.0
"""How long a requested slot may take to register before it no longer counts as starting."""

_log = structlog.get_logger()


class SlotAutoscaler:
    """Keeps as many slots live or starting as the queued jobs can use, up to the capacity.

    Of pools with warm slots it keeps that many at least.

    Args:
        context: The engine.
        scheduler: What starts slots.
        check: Refuses a pool whose account may not use its image.
    """

    def __init__(
        self,
        context: Context,
        scheduler: SchedulerPort,
        check: Callable[[Pool], Awaitable[None]],
    ) -> None:
        self._context = context
        self._check_image = check
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._warm = context.warm_slots
        self._scheduler = scheduler
        self._pauses: dict[Pool, tuple[float, float]] = {}
        self._requested: dict[str, tuple[Pool, float]] = {}
        """For each burst its pool, and until when its slots are expected."""
        self._released: dict[Pool, tuple[float, int]] = {}
        """For each pool for which idle slots were ended: when more may be, and how many cores."""
        self._logged: dict[Pool, str] = {}
        self._full: dict[Pool, float] = {}
        self._checking: dict[Pool, bool] = {}
        """Pools that are being checked, and whether each has to be checked once more."""
        self._checks: set[asyncio.Task[None]] = set()
        self.is_leader = True
        """Whether this process holds the lock that decides who starts bursts."""

    def back_off(self, slot: Slot) -> None:
        """Delay the next burst after the loss of a slot that lived shortly, longer each time."""
        now = self._context.clock()
        if now - slot.started_at > SHORT_LIFE_S:
            self._pauses.pop(slot.pool, None)
            return
        pause = min(2 * self._pauses.get(slot.pool, (0.0, FIRST_PAUSE_S / 2))[1], LONGEST_PAUSE_S)
        self._pauses[slot.pool] = (now + pause, pause)

    def scale_up_if_needed(self, pool: Pool, first: int = 0) -> None:
        """Start a burst if jobs of a pool wait and slots are missing.

        Args:
            pool: The pool.
            first: The first jid of the batch that was made, for the burst's name.
        """
        if self._context.clock() >= self._full.get(pool, 0.0):
            self._scale_up(pool, first)

    def _scale_up(self, pool: Pool, first: int) -> None:
        held_until = self._pauses.get(pool, (0.0, 0.0))[0]
        if (
            self.is_leader
            and (self._sessions.idle(pool) == 0 or self._lacks_warm(pool))
            and self._context.clock() >= held_until
        ):
            if pool in self._checking:
                self._checking[pool] = True
                return
            self._checking[pool] = False
            task = asyncio.create_task(self._check(pool, first))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def _check(self, pool: Pool, first: int) -> None:
        try:
            capacity = await self._scheduler.capacity(pool.core_type)
            most = capacity // pool.cores or min(capacity, 1)
            # First those that start: one that registers meanwhile may count twice, but never not.
            starting = self._sessions.starting(pool, self._context.clock())
            existing = await self._live(pool) + await self._pending(pool)
            if existing >= most:
                # A check costs requests, and while all slots are busy each new batch leads to one.
                self._full[pool] = self._context.clock() + FULL_S
            count = self._lacking(pool, most - existing, starting)
            count = max(count, min(most, self._warm.count(pool)) - existing - starting)
            if count > 0 or not capacity:
                await self._start(Burst(_name(pool, first), pool, max(1, count)))
            self._logged.pop(pool, None)
        except PiCloudError as error:
            self._sessions.give_up(pool)
            self._pauses[pool] = (self._context.clock() + PATIENCE_S, FIRST_PAUSE_S)
            self._log_once(pool, error.message)
        finally:
            if self._checking.pop(pool):
                self.scale_up_if_needed(pool, first)

    async def _start(self, burst: Burst) -> None:
        await self._check_image(burst.pool)
        until = self._context.clock() + STARTING_S
        self._sessions.expect(burst.pool, burst.count, until)
        self._requested[burst.name] = (burst.pool, until)
        await self._scheduler.start(burst)

    def _log_once(self, pool: Pool, reason: str) -> None:
        """Log why slots cannot be started, but not the same reason twice in a row."""
        if self._logged.get(pool) != reason:
            self._logged[pool] = reason
            _log.warning("autoscaler.failed", pool=str(pool), reason=reason)

    async def _pending(self, pool: Pool) -> int:
        """Return how many slots the scheduler has not started long after they were requested.

        A cluster without room keeps such requests; to repeat them would add ever more.
        """
        now = self._context.clock()
        late = {
            name for name, (of, until) in self._requested.items() if of == pool and until <= now
        }
        if not late:
            return 0
        pending = [
            presence.burst
            for presence in await self._scheduler.slots()
            if presence.burst in late and not presence.running
        ]
        for name in late.difference(pending):
            del self._requested[name]
        return len(pending)

    async def _live(self, pool: Pool) -> int:
        """Return how many slots of the pool live, those of other processes included."""
        if not self._context.commits.view.state.shared:
            return self._sessions.count(pool)
        slots = await self._context.commits.view.scan(Slot.prefix)
        return sum(1 for slot in slots.values() if slot.pool == pool)

    def _lacking(self, pool: Pool, room: int, starting: int) -> int:
        idle = self._sessions.idle(pool)
        jobs = self._queue.jobs(pool, room + idle)
        return min(room, jobs - idle) - starting

    def _lacks_warm(self, pool: Pool) -> bool:
        """Whether fewer slots of a pool than are kept talk with this process."""
        return self._sessions.count(pool) < self._warm.count(pool)

    def keep_warm(self) -> None:
        """Start the slots that are missing in pools with warm slots."""
        for pool in self._warm.pools():
            if self._lacks_warm(pool):
                self._scale_up(pool, 0)

    async def release_idle(self) -> None:
        """End idle slots of other pools if no requested slot of a pool has run for a second.

        As few as make room for one slot; if it has not come by then, twice as many after 5 s.
        """
        now = self._context.clock()
        lacking = [
            pool
            for pool in {*self._queue.pools(), *self._warm.reserved_pools()}
            if self._lacks_first(pool, now)
        ]
        self._released = {pool: self._released[pool] for pool in lacking if pool in self._released}
        if not lacking:
            return
        running = {each.burst for each in await self._scheduler.slots() if each.running}
        # What runs only has to register, which takes seconds where a machine is busy.
        comes = {
            of for name, (of, until) in self._requested.items() if name in running and until > now
        }
        for pool in lacking:
            again_at, cores = self._released.get(pool, (now, pool.cores))
            if pool not in comes and now >= again_at:
                self._released[pool] = (now + RELEASED_S, 2 * cores)
                self._sessions.dismiss_others(pool, cores, self._warm.reserved)

    def _lacks_first(self, pool: Pool, now: float) -> bool:
        """Whether a pool lacks slots that were requested more than a second ago."""
        starting = self._sessions.starting(pool, now)
        recent = self._sessions.starting(pool, now + STARTING_S - PATIENCE_S)
        least = max(1, self._warm.reserved(pool))
        return starting > recent and self._sessions.count(pool) < least

    async def adjust(self) -> None:
        """End idle slots whose room other pools need, then start the slots that are missing."""
        try:
            await self.release_idle()
        finally:
            self.scale_up_all()

    def scale_up_all(self) -> None:
        """Check every pool with queued jobs: a slot may have ended, or a pause may be over."""
        self._full.clear()
        for pool in self._queue.pools():
            self._scale_up(pool, 0)


def _name(pool: Pool, first: int) -> str:
    return f"pc-{pool.account}-{first:012d}-{entropy.token_hex(4)}"
