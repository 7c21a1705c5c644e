"""Bells: each API process tells the others what it changed, through one key it alone writes.

One watch a process on all bells replaces a watch for everything somebody waits for. A process that
knows of no other does not ring: then a commit costs no extra key, and nobody is woken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from picloud_api.store import layout
from picloud_api.store.records import Change

if TYPE_CHECKING:
    from picloud_api.store.records import Bell, Signal
    from picloud_api.usecases.context import Context

RING_S: Final = 5.0
"""How often a process rings though nothing happened, so that the others know it lives."""
SILENT_S: Final = 20.0
"""A bell silent for so long is that of a process that ended."""
FORGOTTEN_S: Final = 600.0
"""A bell silent for so long is taken away."""


class Listener(Protocol):
    """Who acts on what the others changed."""

    def hear(self, signal: Signal) -> None:
        """Act on one change."""

    async def queue_again(self, signal: Signal) -> None:
        """A batch was made, or jobs of one given back: look which pages have some."""

    async def look_at_everything(self) -> None:
        """More happened than the bell remembers."""


class Bells:
    """Rings for this process and listens to the others."""

    def __init__(self, context: Context, listener: Listener) -> None:
        self._commits = context.commits
        self._clock = context.clock
        self._listener = listener
        self._own = layout.bell(context.commits.process)
        self._heard: dict[str, int] = {}

    async def start(self) -> None:
        """Make this process known, and take note of what was rung before it looked at anything."""
        await self._commits.ring(self._clock())
        bells = await self._commits.view.scan("bell/")
        self._heard = {name: bell.count for name, bell in bells.items()}
        self._count_others(bells)

    async def keep_ringing(self) -> None:
        """Say that this process lives, and take away the bells of those long gone."""
        await asyncio.sleep(RING_S)
        await self._commits.ring(self._clock())
        bells = await self._commits.view.scan("bell/")
        self._count_others(bells)
        gone = [name for name, bell in bells.items() if self._clock() - bell.at > FORGOTTEN_S]
        await self._commits.remove(gone)

    async def listen(self) -> None:
        """Hear every change the others make."""
        moment = 0
        while True:
            moment = await self._commits.view.state.watch("bell/", moment, 50.0)
            bells = await self._commits.view.scan("bell/")
            self._count_others(bells)
            for name, bell in bells.items():
                if name != self._own:
                    await self._listen_to(name, bell)

    def _count_others(self, bells: dict[str, Bell]) -> None:
        now = self._clock()
        self._commits.alone = not any(
            now - bell.at < SILENT_S for name, bell in bells.items() if name != self._own
        )

    async def _listen_to(self, name: str, bell: Bell) -> None:
        missed = bell.count - self._heard.get(name, 0)
        self._heard[name] = bell.count
        if missed > len(bell.signals):
            await self._listener.look_at_everything()
            return
        for signal in bell.signals[-missed:] if missed > 0 else ():
            self._commits.view.forget_batch(signal.account, signal.batch)
            if signal.change is Change.READY:
                await self._listener.queue_again(signal)
            else:
                self._listener.hear(signal)
