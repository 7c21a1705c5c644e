"""The notifier: publishes the changes of this process and receives those of the others.

Each process writes its latest changes to one key of its own, its change log. One watch on all of
these replaces a watch for each thing that a request waits for. A process that knows of no other
publishes nothing: then a commit costs no extra key, and no process is woken.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from picloud_api.store import layout
from picloud_api.store.commits import CHANGE_LOG_EVENTS
from picloud_api.store.records import ChangeLog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import Event

WATCH_S: Final = 50.0
"""How long one request for changes waits at the state store."""
SILENT_S: Final = 20.0
"""A change log that was not written for so long belongs to a process that has ended."""
SHORTEST_S: Final = 0.002
"""Least pause between two reads of the change logs while this process waits for their changes."""
LONGEST_S: Final = 0.1
"""The same while it does not: a process that serves other accounts need not follow each change."""
SCAN_S: Final = 0.5
"""Least time between two scans for change logs of new processes while others publish."""
MUCH: Final = 0.5
"""Share of a change log that was new above which the pause gets shorter."""
LITTLE: Final = 0.2
"""Share of a change log that was new below which the pause gets longer, if nothing waited."""
REMOVED_AFTER_S: Final = 600.0
"""A change log that was not written for so long is removed."""


class Listener(Protocol):
    """What acts on the changes of the other processes."""

    async def on_remote_events(self, events: Sequence[Event]) -> bool:
        """Act on changes, oldest first; return whether anything here waited for one of them."""

    async def resync(self) -> None:
        """Act on more changes than a change log lists."""


class Notifier:
    """Writes the change log of this process and reads those of the others."""

    def __init__(self, context: Context, listener: Listener) -> None:
        self._commits = context.commits
        self._view = context.commits.view
        self._clock = context.clock
        self._listener = listener
        self._own = layout.change_log(context.commits.process)
        self._counts: dict[str, int] = {}
        """How many changes of each process were received, by the key of its change log."""
        self._scanned_at = 0.0

    async def start(self) -> None:
        """Make this process known, and note what was published before it read anything else."""
        await self._commits.publish(self._clock())
        logs = await self._scan()
        self._counts = {key: log.count for key, log in logs.items()}

    async def publish(self) -> None:
        """Show that this process lives, and remove the change logs of those that ended long ago."""
        await self._commits.publish(self._clock())
        logs = await self._scan()
        old = [key for key, log in logs.items() if self._clock() - log.at > REMOVED_AFTER_S]
        await self._commits.remove(old)

    async def listen(self) -> None:
        """Receive every change of the other processes."""
        moment, pause_s = 0, SHORTEST_S
        while True:
            moment = await self._view.state.watch(ChangeLog.prefix, moment, WATCH_S)
            events, share = self._news(await self._read(moment))
            concerned = False
            if share > 1:
                await self._listener.resync()
            elif events:
                concerned = await self._listener.on_remote_events(events)
            # A read costs requests, and what is published meanwhile is received with the next one.
            # A process that is alone publishes nothing, so it has to notice a new one at once.
            alone = self._commits.alone
            pause_s = next_pause(pause_s, share, concerned=concerned or alone)
            await asyncio.sleep(pause_s)

    async def _read(self, moment: int) -> dict[str, ChangeLog]:
        """Return the change logs of the others, by key.

        A scan, which costs more than a read of known keys, is only made where a new process may
        have come.
        """
        state = self._view.state
        if not self._commits.alone and self._clock() - self._scanned_at < SCAN_S:
            entries = await state.get([key for key in self._counts if key != self._own])
            latest = [self._commits.published, *(entry.version for entry in entries.values())]
            if max(latest) >= moment:
                return {key: layout.decode(key, each.value) for key, each in entries.items()}
        self._scanned_at = self._clock()
        return await self._scan()

    async def _scan(self) -> dict[str, ChangeLog]:
        """Return all change logs, and note whether another process lives."""
        logs: dict[str, ChangeLog] = await self._view.scan(ChangeLog.prefix)
        now = self._clock()
        self._commits.alone = not any(
            now - log.at < SILENT_S for key, log in logs.items() if key != self._own
        )
        return logs

    def _news(self, logs: dict[str, ChangeLog]) -> tuple[list[Event], float]:
        """Return what others published since the last read, and which share of a log that was.

        A share above 1 means that a log no longer lists all of it.
        """
        events: list[Event] = []
        share = 0.0
        for key, log in logs.items():
            count = log.count - self._counts.get(key, 0)
            self._counts[key] = log.count
            if key != self._own and count > 0:
                events += log.events[-count:]
                share = max(share, count / CHANGE_LOG_EVENTS)
                if count > len(log.events):
                    share = inf
        return events, share


def next_pause(pause_s: float, share: float, *, concerned: bool) -> float:
    """Return how long to wait before the next read of the change logs, in seconds.

    Args:
        pause_s: How long the pause before this read was.
        share: Which share of a change log was new.
        concerned: Whether anything in this process waited for one of these changes.

    >>> next_pause(0.02, 0.01, concerned=True), next_pause(0.02, 0.01, concerned=False)
    (0.002, 0.04)
    >>> next_pause(0.02, 0.9, concerned=False), next_pause(0.08, 0.1, concerned=False)
    (0.01, 0.1)
    """
    if concerned:
        return SHORTEST_S
    if share > MUCH:
        return max(SHORTEST_S, pause_s / 2)
    return min(2 * pause_s, LONGEST_S) if share < LITTLE else pause_s
