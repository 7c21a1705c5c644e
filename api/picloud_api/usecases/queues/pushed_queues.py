"""The queues with a handler that got messages, until jobs were started for them."""

from __future__ import annotations

import asyncio


class PushedQueues:
    """The queues with a handler that got messages in this process since the last look."""

    def __init__(self) -> None:
        self._names: set[tuple[str, str]] = set()
        self._changed = asyncio.Event()

    def add(self, account: str, name: str) -> None:
        """Note that a queue of an account got messages."""
        self._names.add((account, name))
        self._changed.set()

    async def take(self) -> set[tuple[str, str]]:
        """Return the account and the name of each, and forget them; wait for the first."""
        await self._changed.wait()
        self._changed.clear()
        names, self._names = self._names, set()
        return names
