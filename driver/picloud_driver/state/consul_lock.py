"""A lock in Consul: a key that belongs to a session, which ends unless it is renewed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

from picloud_driver.consul.gateway import Step, Verb
from picloud_driver.state.port import Lock

if TYPE_CHECKING:
    from picloud_driver.consul.threads import ConsulThreads

_RENEWALS: Final = 3
"""How often a session is renewed in its time to live, so that one lost renewal harms nothing."""


class SessionLock(Lock):
    """A lock held by a session of ours, renewed by a task until it is released or lost.

    Args:
        consul: Where the session is.
        key: The key locked.
        session: That of the lock.
        ttl_s: The session's time to live, in seconds.
    """

    def __init__(self, consul: ConsulThreads, key: str, session: str, ttl_s: int) -> None:
        self._consul = consul
        self._key = key
        self._session = session
        self._renewal = asyncio.create_task(self._renew(ttl_s / _RENEWALS))

    async def held(self) -> bool:
        """Ask Consul whose it is; our own clock would not see a session that was destroyed."""
        read = Step(Verb.GET, self._key)
        (found,) = await self._consul.ask(self._consul.gateway.transact, [read])
        return found.session == self._session

    async def release(self) -> None:
        """End the session; Consul removes the key with it."""
        if not self._renewal.done():
            self._renewal.cancel()
            await self._consul.ask(self._consul.gateway.end, self._session)

    async def _renew(self, every_s: float) -> None:
        there = True
        while there:
            await asyncio.sleep(every_s)
            # While Consul does not answer it may still be ours: it decides.
            with contextlib.suppress(Unavailable):
                there = await self._consul.ask(self._consul.gateway.renew, self._session)
