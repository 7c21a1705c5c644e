"""The leader: one API process of all that share a state store starts slots and seals batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from picloud_driver.state import StatePort

    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler

LOCK: Final = "reconcile"
LOCK_TTL_S: Final = 10.0
"""How long the lock of a process that was killed keeps others from leading."""
CHECK_EVERY_S: Final = 1.0
"""How often the lock is tried, and later checked."""


class Leadership:
    """Competes for the lock that makes this process the leader.

    Where the state store is not shared there is no lock: the only process leads.
    """

    def __init__(self, state: StatePort, autoscaler: SlotAutoscaler) -> None:
        self._state = state
        self._autoscaler = autoscaler

    @property
    def is_leader(self) -> bool:
        """Whether this process leads."""
        return self._autoscaler.is_leader

    async def lead(self) -> None:
        """Try to take the lock; once it is taken, lead until it is lost."""
        self._autoscaler.is_leader = False
        lock = await self._state.lock(LOCK, LOCK_TTL_S)
        if lock is None:
            await asyncio.sleep(CHECK_EVERY_S)
            return
        self._autoscaler.is_leader = True
        self._autoscaler.scale_up_all()
        try:
            while await lock.held():  # noqa: ASYNC110 - the store does not notify of a lost lock
                await asyncio.sleep(CHECK_EVERY_S)
        finally:
            self._autoscaler.is_leader = False
            await lock.release()
