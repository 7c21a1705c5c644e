"""Locks that jobs and clients of an account hold."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from picloud_model.wire import LONGEST_POLL_S, Answer
from picloud_model.wire import lock as wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._http.transport import Transport


class LockClient:
    """Takes, renews, releases and lists locks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def acquire(
        self, name: str, hold: str, tokens: int, timeout_s: float
    ) -> wire.LockAcquired | None:
        """Take a lock; wait until it is free, in as many requests as that takes.

        Returns:
            What was taken, or None if the lock was not free in time.
        """
        end = time.monotonic() + timeout_s
        while True:
            hold_s = max(0.0, min(LONGEST_POLL_S, end - time.monotonic()))
            body = wire.AcquireLockRequest(name=name, hold=hold, tokens=tokens, timeout_s=hold_s)
            acquired = self._transport.poll("/v1/locks", body, wire.LockAcquired, hold_s)
            if acquired.fence:
                return acquired
            if time.monotonic() >= end:
                return None

    def renew(self, locks: Sequence[wire.HeldLock]) -> set[int]:
        """Hold locks for longer; return the positions of those that are lost."""
        lost: set[int] = set()
        for start in range(0, len(locks), wire.MAX_RENEWED):
            body = wire.RenewLocksRequest(locks=list(locks[start : start + wire.MAX_RENEWED]))
            renewed = self._transport.post("/v1/locks/renew", body, wire.LocksRenewed)
            lost |= {start + position for position in renewed.lost}
        return lost

    def release(self, name: str, hold: str) -> None:
        """Give a lock back; one that is lost is not an error."""
        self._transport.post(
            "/v1/locks/release", wire.ReleaseLockRequest(name=name, hold=hold), Answer
        )

    def list(self) -> Sequence[wire.ListedLock]:
        """Return the locks that are held, by name."""
        return self._transport.post("/v1/locks/list", wire.LocksRequest(), wire.LocksListed).locks

    def break_lock(self, name: str) -> None:
        """Take a lock away from all of its holders."""
        self._transport.post("/v1/locks/break", wire.BreakLockRequest(name=name), Answer)
