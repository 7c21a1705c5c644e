"""The keeper of warm slots: slots that are kept running for endpoints and reservations.

Each process knows how many there are; the leader starts those that are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from picloud_api.engine.process.batch_watch import wait_for_event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from picloud_driver.scheduler import Pool

    from picloud_api.engine.process.context import Context
    from picloud_api.engine.scheduling.autoscaler import SlotAutoscaler

READ_EVERY_S: Final = 5.0
"""How late a process learns what was published through another one, and a slot is replaced."""


class Reservations(Protocol):
    """The reservations of all accounts."""

    async def counts(self) -> Mapping[Pool, int]:
        """Return how many slots of each pool are reserved."""
        ...

    async def keep(self) -> None:
        """Store which of the reservations that were counted have started or ended."""
        ...


class WarmSlotKeeper:
    """Keeps slots of endpoints and reservations running.

    Args:
        context: What this process knows of slots.
        counts: Returns how many slots of each pool are kept for endpoints.
        reservations: What accounts have reserved.
        autoscaler: Starts those that are missing.
    """

    def __init__(
        self,
        context: Context,
        counts: Callable[[], Awaitable[Mapping[Pool, int]]],
        reservations: Reservations,
        autoscaler: SlotAutoscaler,
    ) -> None:
        self._warm = context.warm_slots
        self._counts = counts
        self._reservations = reservations
        self._autoscaler = autoscaler

    async def keep(self) -> None:
        """Look once, then wait until the next look is due."""
        await self.look()
        await wait_for_event(self._warm.changed, READ_EVERY_S)

    async def look(self) -> None:
        """Read how many slots are kept, and start those that are missing."""
        self._warm.changed.clear()
        self._warm.replace(await self._counts(), await self._reservations.counts())
        self._autoscaler.keep_warm()
        if self._autoscaler.is_leader:
            await self._reservations.keep()
