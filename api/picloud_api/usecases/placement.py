"""Placement: when slots are missing, ask the scheduler for a burst of them."""

from __future__ import annotations

import asyncio
import secrets as entropy
from typing import TYPE_CHECKING, Final

import structlog
from picloud_driver.scheduler import Burst
from picloud_model.errors import PiCloudError

if TYPE_CHECKING:
    from picloud_driver.scheduler import Pool, SchedulerPort

    from picloud_api.usecases.context import Context

STARTING_S: Final = 30.0
"""How long a slot may take to register before it no longer counts as coming."""

_log = structlog.get_logger()


class Placement:
    """Keeps as many slots live or coming as the queued jobs can use, up to the capacity."""

    def __init__(self, context: Context, scheduler: SchedulerPort) -> None:
        self._queue = context.queue
        self._sessions = context.sessions
        self._clock = context.clock
        self._scheduler = scheduler
        self._coming: dict[Pool, list[float]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self.leads = True
        """Whether this process holds the lock that decides who starts bursts."""

    def came(self, pool: Pool) -> None:
        """A slot of the pool registered."""
        if coming := self._coming.get(pool):
            coming.pop(0)

    def consider(self, pool: Pool, first: int = 0) -> None:
        """Start a burst if jobs of a pool wait and slots are missing.

        Args:
            pool: Whose slots.
            first: The jid that made the need felt, for the burst's name.
        """
        if self.leads and self._sessions.idle(pool) == 0:
            task = asyncio.create_task(self._place(pool, first))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _place(self, pool: Pool, first: int) -> None:
        try:
            capacity = await self._scheduler.capacity(pool.core_type)
            count = self._lacking(pool, capacity // pool.cores or min(capacity, 1))
            if count > 0:
                now = self._clock()
                self._coming.setdefault(pool, []).extend([now] * count)
                await self._scheduler.start(Burst(_name(pool, first), pool, count))
        except PiCloudError as error:
            self._coming.pop(pool, None)
            _log.warning("placement.failed", pool=str(pool), reason=error.message)

    def _lacking(self, pool: Pool, capacity: int) -> int:
        now = self._clock()
        coming = [at for at in self._coming.get(pool, []) if now - at < STARTING_S]
        self._coming[pool] = coming
        live = self._sessions.count(pool)
        idle = self._sessions.idle(pool)
        jobs = self._queue.jobs(pool, capacity)
        return min(capacity - live - len(coming), jobs - idle - len(coming))

    def consider_all(self) -> None:
        """Look at every pool with jobs queued."""
        for pool in self._queue.pools():
            self.consider(pool)


def _name(pool: Pool, first: int) -> str:
    return f"pc-{pool.account}-{first:012d}-{entropy.token_hex(4)}"
