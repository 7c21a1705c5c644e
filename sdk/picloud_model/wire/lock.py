"""Locks: requests and answers about locks, semaphores and leaders, which are one thing here."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from picloud_model.wire.body import Answer, Request, Timeout

MAX_LOCKS: Final = 10_000
"""Most locks of an account that are held at once."""
MAX_TOKENS: Final = 1000
"""Most holders of a lock at once."""
MAX_RENEWED: Final = 1000
"""Most holds that a request renews."""
MAX_LOCK_NAME: Final = 64
"""Longest name of a lock, in characters."""

# `$` also matches before a line break at the end; max_length rules that out.
LockName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}$(?!\n)", max_length=MAX_LOCK_NAME)]
HoldId = Annotated[str, Meta(pattern="^[0-9a-f]{32}$", max_length=32)]
"""A UUID in hex that the client makes; it identifies one holding of a lock."""


class AcquireLockRequest(Request, frozen=True):
    """Take a lock, or wait until it is free: `POST /v1/locks`.

    Up to `tokens` holders have it at once. A job holds it until it ends, a client until
    `held_s` after it was last renewed. A repeated request with the same `hold` finds what it has.
    """

    name: LockName
    hold: HoldId
    tokens: Annotated[int, Meta(ge=1, le=MAX_TOKENS)] = 1
    timeout_s: Timeout = 0.0


class LockAcquired(Answer, frozen=True):
    """What was taken: its fence number, which is higher than all earlier ones of the account.

    It is 0 if the lock was not free in time. `held_s` is how long the lock is held unless it is
    renewed; 0 for a job, which holds it as long as it runs.
    """

    fence: int = 0
    held_s: float = 0.0


class HeldLock(msgspec.Struct, frozen=True, array_like=True):
    """One holding of a lock."""

    name: LockName
    hold: HoldId


class RenewLocksRequest(Request, frozen=True):
    """Hold locks for longer, and find out which of them are lost: `POST /v1/locks/renew`."""

    locks: Annotated[list[HeldLock], Meta(max_length=MAX_RENEWED)]


class LocksRenewed(Answer, frozen=True):
    """The positions in the request of locks that are no longer held."""

    lost: list[int] = []


class ReleaseLockRequest(Request, frozen=True):
    """Give a lock back, which may be lost already: `POST /v1/locks/release`."""

    name: LockName
    hold: HoldId


class LocksRequest(Request, frozen=True):
    """List the locks that are held: `POST /v1/locks/list`."""


class LockHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A holder of a lock: its fence number, since when, and its job, which is 0 for a client."""

    fence: int
    acquired_at: float
    jid: int = 0


class ListedLock(msgspec.Struct, frozen=True, kw_only=True):
    """A lock that is held."""

    name: str
    tokens: int
    holders: list[LockHolder]


class LocksListed(Answer, frozen=True):
    """Locks that are held, by name."""

    locks: list[ListedLock]


class BreakLockRequest(Request, frozen=True):
    """Take a lock away from all of its holders: `POST /v1/locks/break`."""

    name: LockName
