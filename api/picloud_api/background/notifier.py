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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.engine.process.context import Context
    from picloud_api.store.records import ChangeLog, Event

RING_S: Final = 5.0
"""How often a process rings though nothing happened, so that the others know it lives."""
SILENT_S: Final = 20.0
"""A bell silent for so long is that of a process that ended."""
SHORTEST_S: Final = 0.002
"""Least time between two looks at the bells, while somebody here waits for what is heard."""
LONGEST_S: Final = 0.1
"""The same while nobody does: a process that serves other accounts need not follow each change."""
SCAN_S: Final = 0.5
"""Least time between two looks for bells of processes not known yet, while others ring."""
MUCH: Final = 0.5
"""Share of a bell's memory at which a process looks more often."""
LITTLE: Final = 0.2
"""Share of a bell's memory below which a process that nothing concerns looks less often."""
FORGOTTEN_S: Final = 600.0
"""A bell silent for so long is taken away."""


class Listener(Protocol):
    """Who acts on what the others changed."""

    async def on_remote_events(self, events: Sequence[Event]) -> bool:
        """Act on changes, oldest first; answers whether somebody here waited for one of them."""

    async def resync(self) -> None:
        """More happened than the bell remembers."""


class Notifier:
    """Rings for this process and listens to the others."""

    def __init__(self, context: Context, listener: Listener) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._listener = listener
        self._own = layout.change_log(context.commits.process)
        self._heard: dict[str, int] = {}
        self._scanned = 0.0

    async def start(self) -> None:
        """Make this process known, and take note of what was rung before it looked at anything."""
        await self._commits.publish(self._clock())
        bells = await self._commits.view.scan("bell/")
        self._heard = {name: bell.count for name, bell in bells.items()}
        self._count_others(bells)

    async def keep_ringing(self) -> None:
        """Say that this process lives, and take away the bells of those long gone."""
        await asyncio.sleep(RING_S)
        await self._commits.publish(self._clock())
        bells = await self._commits.view.scan("bell/")
        self._count_others(bells)
        gone = [name for name, bell in bells.items() if self._clock() - bell.at > FORGOTTEN_S]
        await self._commits.remove(gone)

    async def listen(self) -> None:
        """Hear every change the others make."""
        moment, pause = 0, SHORTEST_S
        while True:
            moment = await self._commits.view.state.watch("bell/", moment, 50.0)
            bells = await self._read(moment)
            events, share = self._missed(bells)
            concerned = False
            if share > 1:
                await self._listener.resync()
            elif events:
                concerned = await self._listener.on_remote_events(events)
            # A look costs requests, and what is rung meanwhile is heard in the next one.
            # Who is alone does not ring, so whoever comes has to be noticed at once.
            alone = self._commits.alone
            pause = next_pause(pause, share, concerned=concerned or alone)
            await asyncio.sleep(pause)

    async def _read(self, moment: int) -> dict[str, ChangeLog]:
        """The bells that others rang: by name, unless one may have come that is not known yet."""
        state, own = self._commits.view.state, self._own
        if not self._commits.alone and self._clock() - self._scanned < SCAN_S:
            entries = await state.get([name for name in self._heard if name != own])
            latest = [self._commits.published, *(entry.version for entry in entries.values())]
            if max(latest) >= moment:
                return {name: layout.decode(name, each.value) for name, each in entries.items()}
        self._scanned = self._clock()
        bells: dict[str, ChangeLog] = await self._commits.view.scan("bell/")
        self._count_others(bells)
        return bells

    def _count_others(self, bells: dict[str, ChangeLog]) -> None:
        now = self._clock()
        self._commits.alone = not any(
            now - bell.at < SILENT_S for name, bell in bells.items() if name != self._own
        )

    def _missed(self, bells: dict[str, ChangeLog]) -> tuple[list[Event], float]:
        """What others rang since the last look, and the share of a bell's memory that this is.

        Beyond 1, a bell does not remember all of it.
        """
        found: list[Event] = []
        share = 0.0
        for name, bell in bells.items():
            missed = bell.count - self._heard.get(name, 0)
            self._heard[name] = bell.count
            if name != self._own and missed > 0:
                found += bell.events[-missed:]
                share = max(share, missed / CHANGE_LOG_EVENTS)
                if missed > len(bell.events):
                    share = inf
        return found, share


def next_pause(pause: float, share: float, *, concerned: bool) -> float:
    """How long to wait before the next look at the bells, in seconds.

    Args:
        pause: How long it was before this one.
        share: How much of a bell's memory had to be heard.
        concerned: Whether somebody here waited for some of that.

    >>> next_pause(0.02, 0.01, concerned=True), next_pause(0.02, 0.01, concerned=False)
    (0.002, 0.04)
    >>> next_pause(0.02, 0.9, concerned=False), next_pause(0.08, 0.1, concerned=False)
    (0.01, 0.1)
    """
    if concerned:
        return SHORTEST_S
    if share > MUCH:
        return max(SHORTEST_S, pause / 2)
    return min(2 * pause, LONGEST_S) if share < LITTLE else pause
