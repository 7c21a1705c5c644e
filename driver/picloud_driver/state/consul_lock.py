"""A lock in Consul: a key held by a session, which ends unless it is renewed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picloud_model.errors import Unavailable

from picloud_driver.consul.gateway import Step, Verb
from picloud_driver.state.port import StateLock

if TYPE_CHECKING:
    from picloud_driver.consul.threads import ConsulThreads

_RENEWALS: Final = 3
"""Renewals of a session within its time to live, so that one may be lost without harm."""


class SessionLock(StateLock):
    """A lock held by a session, which a task renews until the lock is released or lost.

    Args:
        consul: The Consul of the session.
        key: The locked key.
        session: The session that holds the lock.
        ttl_s: The session's time to live, in seconds.
    """

    def __init__(self, consul: ConsulThreads, key: str, session: str, ttl_s: int) -> None:
        self._consul = consul
        self._key = key
        self._session = session
        self._renewal = asyncio.create_task(self._renew(ttl_s / _RENEWALS))

    async def held(self) -> bool:
        """Ask Consul who holds it; a local clock would not notice a destroyed session."""
        read = Step(Verb.GET, self._key)
        (lock,) = await self._consul.ask(self._consul.gateway.transact, [read])
        return lock.session == self._session

    async def release(self) -> None:
        """End the session; Consul deletes the key with it."""
        if not self._renewal.done():
            self._renewal.cancel()
            await self._consul.ask(self._consul.gateway.end, self._session)

    async def _renew(self, every_s: float) -> None:
        exists = True
        while exists:
            await asyncio.sleep(every_s)
            # While Consul does not answer, the lock may still be held: only Consul decides.
            with contextlib.suppress(Unavailable):
                exists = await self._consul.ask(self._consul.gateway.renew, self._session)
