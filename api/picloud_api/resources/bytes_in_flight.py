"""Bytes in flight: the large bodies and replies that requests hold in memory, by sender.

A request with a large body waits until there is room for it before the body is read, and the sender
waits with it. So neither one account nor all of them fill the memory of the server.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from picloud_model.errors import AccountBusy

COUNTED_BYTES: Final = 64 * 1024
"""Less than this is not counted."""
MOST_BYTES: Final = 320 * 1024 * 1024
"""Most bytes in flight of all senders."""
MOST_OF_ONE_BYTES: Final = 160 * 1024 * 1024
"""Most bytes in flight of one sender: the largest blob, and room for other requests."""
WAIT_S: Final = 10.0
"""How long a request waits for room."""
_LOOK_S: Final = 0.02


class Hold:
    """Bytes that one request holds, until the request is forgotten."""

    def __init__(self, counted: BytesInFlight, sender: str) -> None:
        self._counted = counted
        self.sender = sender
        self.size = 0

    def __del__(self) -> None:
        self._counted.release(self)


class BytesInFlight:
    """Counts the bytes in flight.

    Args:
        most: The bytes of all senders.
        most_of_one: The bytes of one sender.
        wait_s: How long to wait for room.

    >>> counted = BytesInFlight(100, 60)
    >>> hold = Hold(counted, "a")
    >>> asyncio.run(counted.add(hold, 50))
    >>> counted.total, counted.has_room("a", 20), counted.has_room("b", 50)
    (50, False, True)
    >>> del hold
    >>> counted.total
    0
    """

    def __init__(self, most: int, most_of_one: int, wait_s: float = WAIT_S) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._wait_s = wait_s
        self._by_sender: Counter[str] = Counter()
        self.total = 0

    def has_room(self, sender: str, size: int) -> bool:
        """Whether a sender may have so many bytes more in flight."""
        own = self._by_sender[sender] + size
        return own <= self._most_of_one and self.total + size <= self._most

    async def add(self, hold: Hold, size: int) -> None:
        """Count bytes, once there is room for them.

        Raises:
            AccountBusy: When there was none for a while.
        """
        if not self.has_room(hold.sender, size):
            await self._wait_for_room(hold.sender, size)
        hold.size += size
        self._by_sender[hold.sender] += size
        self.total += size

    async def _wait_for_room(self, sender: str, size: int) -> None:
        deadline = time.monotonic() + self._wait_s
        while not self.has_room(sender, size):
            if time.monotonic() > deadline:
                raise AccountBusy(
                    "Too many bytes of this account, or of this server, are under way: "
                    "send large requests one after the other."
                )
            await asyncio.sleep(_LOOK_S)

    def release(self, hold: Hold) -> None:
        """Forget the bytes that a request held."""
        self.total -= hold.size
        self._by_sender[hold.sender] -= hold.size
        if not self._by_sender[hold.sender]:
            del self._by_sender[hold.sender]
        hold.size = 0


IN_FLIGHT: Final = BytesInFlight(MOST_BYTES, MOST_OF_ONE_BYTES)
"""The bytes in flight in this process."""
