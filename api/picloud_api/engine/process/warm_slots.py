"""Warm slots: how many slots of each pool are kept running although no job waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from picloud_driver.scheduler import Pool

    from picloud_api.engine.process.reservation import ReservationRecord
    from picloud_api.store.records import Slot


class WarmSlots:
    """What this process knows of warm slots.

    Attributes:
        changed: Set when an endpoint was published or removed through this process, or cores were
            reserved or released.
        reservations: Those of all accounts by their keys, as they were a short while ago.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.reservations: Mapping[str, ReservationRecord] = {}
        self._counts: Mapping[Pool, int] = {}
        self._reserved: Mapping[Pool, int] = {}

    def replace(self, counts: Mapping[Pool, int], reserved: Mapping[Pool, int]) -> None:
        """Record how many slots of each pool are kept, in place of what was known.

        Args:
            counts: For the endpoints of accounts.
            reserved: For accounts that pay for them; other accounts cannot have their room.
        """
        self._counts = Counter(counts) + Counter(reserved)
        self._reserved = reserved

    def reserved(self, pool: Pool) -> int:
        """Return how many slots of a pool are kept even if other accounts need their room."""
        return self._reserved.get(pool, 0)

    def reserved_pools(self) -> list[Pool]:
        """Return the pools of which slots are reserved."""
        return list(self._reserved)

    def pools(self) -> list[Pool]:
        """Return the pools of which slots are kept."""
        return list(self._counts)

    def count(self, pool: Pool) -> int:
        """Return how many slots of a pool are kept."""
        return self._counts.get(pool, 0)

    def keeps(self, slot: Slot, slots: Collection[Slot]) -> bool:
        """Whether a slot is one of those that are kept: the oldest of its pool.

        Args:
            slot: The slot.
            slots: All slots of the server.
        """
        kept = sorted(
            (each.started_at, each.number)
            for each in slots
            if each.pool == slot.pool and not each.retiring
        )
        return (slot.started_at, slot.number) in kept[: self.count(slot.pool)]
