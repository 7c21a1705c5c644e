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
    from picloud_driver.scheduler import Pool, SchedulerPort

    from picloud_api.engine.process.context import Context

SHORT_LIFE_S: Final = 10.0
"""A slot that is lost so soon after its start may be in trouble that every slot would meet."""
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 2.0
PATIENCE_S: Final = 1.0
FULL_S: Final = 0.2
"""How long a pool that had as many slots as it may have is not looked at for each batch made."""
STARTING_S: Final = 30.0
"""How long a slot may take to register before it no longer counts as coming."""

_log = structlog.get_logger()


class SlotAutoscaler:
    """Keeps as many slots live or coming as the queued jobs can use, up to the capacity."""

    def __init__(self, context: Context, scheduler: SchedulerPort) -> None:
        self._commits = context.commits
        self._queue = context.ready_queue
        self._sessions = context.slot_sessions
        self._clock = context.clock
        self._scheduler = scheduler
        self._pauses: dict[Pool, tuple[float, float]] = {}
        self._asked: dict[str, tuple[Pool, float]] = {}
        self._logged: dict[Pool, str] = {}
        self._full: dict[Pool, float] = {}
        self._placing: dict[Pool, bool] = {}
        """Pools that are looked at just now, and whether they are to be once more."""
        self._asking: set[asyncio.Task[None]] = set()
        self.is_leader = True
        """Whether this process holds the lock that decides who starts bursts."""

    def back_off(self, slot: Slot) -> None:
        """A slot was lost: if it lived shortly, the next burst waits, longer each time."""
        now = self._clock()
        if now - slot.started_at > SHORT_LIFE_S:
            self._pauses.pop(slot.pool, None)
            return
        pause = min(2 * self._pauses.get(slot.pool, (0.0, FIRST_PAUSE_S / 2))[1], LONGEST_PAUSE_S)
        self._pauses[slot.pool] = (now + pause, pause)

    def scale_up_if_needed(self, pool: Pool, first: int = 0) -> None:
        """Start a burst if jobs of a pool wait and slots are missing.

        Args:
            pool: Whose slots.
            first: The jid that made the need felt, for the burst's name.
        """
        if self._clock() >= self._full.get(pool, 0.0):
            self._scale_up(pool, first)

    def _scale_up(self, pool: Pool, first: int) -> None:
        held_until = self._pauses.get(pool, (0.0, 0.0))[0]
        if self.is_leader and self._sessions.idle(pool) == 0 and self._clock() >= held_until:
            if pool in self._placing:
                self._placing[pool] = True
                return
            self._placing[pool] = False
            task = asyncio.create_task(self._place(pool, first))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _place(self, pool: Pool, first: int) -> None:
        try:
            capacity = await self._scheduler.capacity(pool.core_type)
            most = capacity // pool.cores or min(capacity, 1)
            # Those that come first: one that arrives meanwhile may count twice, never not at all.
            coming = self._sessions.coming(pool, self._clock())
            present = await self._live(pool) + await self._pending(pool)
            if present >= most:
                # To look costs requests, and as long as all slots are busy each batch made asks.
                self._full[pool] = self._clock() + FULL_S
            count = self._lacking(pool, most - present, coming)
            if count > 0 or not capacity:
                await self._ask_for(Burst(_name(pool, first), pool, max(1, count)))
            self._logged.pop(pool, None)
        except PiCloudError as error:
            self._sessions.give_up(pool)
            self._pauses[pool] = (self._clock() + PATIENCE_S, FIRST_PAUSE_S)
            self._log_once(pool, error.message)
        finally:
            if self._placing.pop(pool):
                self.scale_up_if_needed(pool, first)

    async def _ask_for(self, burst: Burst) -> None:
        until = self._clock() + STARTING_S
        self._sessions.expect(burst.pool, burst.count, until)
        self._asked[burst.name] = (burst.pool, until)
        await self._scheduler.start(burst)

    def _log_once(self, pool: Pool, why: str) -> None:
        """Log why slots cannot be started, once as long as it is the same."""
        if self._logged.get(pool) != why:
            self._logged[pool] = why
            _log.warning("placement.failed", pool=str(pool), reason=why)

    async def _pending(self, pool: Pool) -> int:
        """How many slots were asked for so long ago that they are not expected, and yet may come.

        A cluster without room keeps them; to ask again every time would make them ever more.
        """
        now = self._clock()
        late = {name for name, (of, until) in self._asked.items() if of == pool and until <= now}
        if not late:
            return 0
        waiting = [
            presence.burst
            for presence in await self._scheduler.slots()
            if presence.burst in late and not presence.running
        ]
        for name in late.difference(waiting):
            del self._asked[name]
        return len(waiting)

    async def _live(self, pool: Pool) -> int:
        """How many slots of the pool live, those that talk with other processes included."""
        if not self._commits.view.state.shared:
            return self._sessions.count(pool)
        slots = await self._commits.view.scan(Slot.prefix)
        return sum(1 for slot in slots.values() if slot.pool == pool)

    def _lacking(self, pool: Pool, room: int, coming: int) -> int:
        idle = self._sessions.idle(pool)
        jobs = self._queue.jobs(pool, room + idle)
        return min(room, jobs - idle) - coming

    def release_idle(self) -> None:
        """Where slots were asked for and none has come for a second, idle ones of others end."""
        now = self._clock()
        for pool in self._queue.pools():
            expected = self._sessions.coming(pool, now)
            long_since = self._sessions.coming(pool, now + STARTING_S - PATIENCE_S)
            if expected > long_since and self._sessions.count(pool) == 0:
                self._sessions.dismiss_others(pool)

    async def adjust(self) -> None:
        """Let idle slots end whose room others need, then start what is lacking."""
        self.release_idle()
        self.scale_up_all()

    def scale_up_all(self) -> None:
        """Look at every pool with jobs queued: a slot may have ended, or time passed."""
        self._full.clear()
        for pool in self._queue.pools():
            self._scale_up(pool, 0)


def _name(pool: Pool, first: int) -> str:
    return f"pc-{pool.account}-{first:012d}-{entropy.token_hex(4)}"
