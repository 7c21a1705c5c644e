"""Locks: a bounded number of jobs and clients of an account hold one at once.

A job holds a lock as long as a slot holds its attempt, a client as long as it renews it. Whether a
holder is alive is determined when another one wants the lock: an unwanted lock costs nothing. Fence
numbers only grow: what is written under a lock can be refused once a later holder has written.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import NotFound, RequestConflict, TokenRefused, nearest_name
from picloud_model.token import JobToken
from picloud_model.wire.lock import (
    MAX_LOCKS,
    ListedLock,
    LockAcquired,
    LockHolder,
    LocksListed,
    LocksRenewed,
)

from picloud_api.store.records import Event, EventKind, NamedRecord, Record
from picloud_api.usecases.sharing.line import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.lock import (
        AcquireLockRequest,
        HeldLock,
        ReleaseLockRequest,
        RenewLocksRequest,
    )

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft
    from picloud_api.usecases.accounts.account import Caller
    from picloud_api.usecases.accounts.job_token import JobTokens
    from picloud_api.usecases.accounts.quota import AccountQuota

HELD_S: Final = 6.0
"""How long a client holds a lock that it does not renew."""
LOOK_S: Final = 1.0
"""How often the first that waits looks whether a holder has died: jobs release nothing then."""


class LockHold(Record, frozen=True):
    """One holding of a lock: by the attempt of a job in a slot, or by a client until a time."""

    id: str
    fence: int
    acquired_at: float
    until: float = 0.0
    jid: int = 0
    attempt: int = 0
    slot: int = 0


class LockRecord(NamedRecord, frozen=True):
    """A lock that was held last, under the key `locks/<account>/<name>`."""

    prefix: ClassVar[str] = "locks/"

    tokens: int
    holds: list[LockHold]


class FenceCounter(NamedRecord, frozen=True):
    """The last fence number of an account, and how many lock records it has."""

    prefix: ClassVar[str] = "fences/"

    fence: int = 0
    locks: int = 0


class Locks:
    """The locks of all accounts."""

    def __init__(self, context: Context, tokens: JobTokens, quota: AccountQuota) -> None:
        self._commits = context.commits
        self._watchers = context.batch_watchers
        self._clock = context.clock
        self._tokens = tokens
        self._quota = quota
        self._lines = Lines()

    async def acquire(self, caller: Caller, request: AcquireLockRequest) -> LockAcquired:
        """Take a lock; wait until it is free, behind the requests that wait in this process.

        Raises:
            RequestConflict: When it is held with another number of tokens, or the account holds too
                many locks.
            TokenRefused: When the job that asks has ended.
            AccountBusy: When too many requests of the account wait.
        """
        deadline = self._clock() + request.timeout_s
        key = _key(caller.account, request.name)
        with self._quota.waiting(caller.account):
            async with self._lines.first(key, request.timeout_s) as is_first:
                return await self._take(caller, request, deadline) if is_first else LockAcquired()

    async def _take(
        self, caller: Caller, request: AcquireLockRequest, deadline: float
    ) -> LockAcquired:
        key = _key(caller.account, request.name)
        plan = partial(self._planned, key=key, caller=caller, request=request)
        fence = await self._watchers.until(
            key,
            lambda: self._commits.run(plan),
            bool,
            lambda: deadline - self._clock(),
            look_s=LOOK_S,
        )
        held_s = 0.0 if caller.token else HELD_S
        return LockAcquired(fence=fence, held_s=held_s) if fence else LockAcquired()

    async def _planned(
        self, draft: Draft, key: str, caller: Caller, request: AcquireLockRequest
    ) -> int:
        """Return the fence number of a holding, which may be there already; 0 without room."""
        record: LockRecord | None = await draft.fresh(key)
        alive = await self._alive(caller.account, record)
        hold = next((each for each in alive if each.id == request.hold), None)
        others = [each for each in alive if each is not hold]
        if alive and record and record.tokens != request.tokens:
            raise RequestConflict(
                f"{request.name!r} is held with {_counted(record.tokens)}, not "
                f"{_counted(request.tokens)}: use the same number everywhere.",
                field="tokens",
            )
        if len(others) >= request.tokens:
            return 0
        if hold is None:
            fence = await self._count(draft, caller.account, added=record is None)
            hold = LockHold(request.hold, fence, self._clock())
        hold = self._extended(hold, caller.token)
        if not await self._is_alive(caller.account, hold):
            raise TokenRefused
        draft.put(key, LockRecord(request.tokens, [*others, hold]))
        return hold.fence

    def _extended(self, hold: LockHold, token: JobToken | None) -> LockHold:
        """Return a holding as it is from now on: bound to a job, or for some seconds."""
        if token is None:
            return msgspec.structs.replace(hold, until=self._clock() + HELD_S)
        return msgspec.structs.replace(hold, jid=token.jid, attempt=token.attempt, slot=token.slot)

    async def _count(self, draft: Draft, account: str, *, added: bool) -> int:
        """Return the next fence number, and count a record that is added."""
        key = f"{FenceCounter.prefix}{account}"
        counter: FenceCounter = await draft.get(key) or FenceCounter()
        if added and counter.locks >= MAX_LOCKS:
            counter = FenceCounter(counter.fence, await self._remove_dead(draft, account))
            if counter.locks >= MAX_LOCKS:
                raise RequestConflict(
                    f"An account may hold {MAX_LOCKS:,} locks at once: release some first."
                )
        draft.put(key, FenceCounter(counter.fence + 1, counter.locks + added))
        return counter.fence + 1

    async def _remove_dead(self, draft: Draft, account: str) -> int:
        """Remove records of locks whose holders have died; return how many there are then."""
        count, most = 0, self._commits.view.state.max_operations // 2
        for key in await self._commits.view.scan(_key(account, "")):
            record: LockRecord | None = await draft.get(key)
            if most and record is not None and not await self._alive(account, record):
                draft.delete(key)
                most -= 1
            else:
                count += record is not None
        return count

    async def require(self, draft: Draft, account: str, lock: HeldLock) -> None:
        """Let what a draft writes depend on a lock: it is refused unless the lock is held.

        Raises:
            RequestConflict: When it was released, broken, not renewed in time, or is held by a job
                that has ended.
        """
        key = _key(account, lock.name)
        record: LockRecord | None = await draft.fresh(key)
        if record is None or all(
            each.id != lock.hold for each in await self._alive(account, record)
        ):
            raise RequestConflict(
                f"The lock {lock.name!r} is no longer held by the program or job that writes: "
                "take it again, and read what was written meanwhile.",
                field="lock",
            )
        # It is written as it is: so the commit fails if another one takes the lock meanwhile.
        draft.put(key, record)

    async def renew(self, account: str, request: RenewLocksRequest) -> LocksRenewed:
        """Hold locks for longer; return which of them are no longer held."""
        held = await asyncio.gather(
            *(
                self._commits.run(partial(self._renewed, account=account, lock=lock))
                for lock in request.locks
            )
        )
        return LocksRenewed(lost=[position for position, is_held in enumerate(held) if not is_held])

    async def _renewed(self, draft: Draft, account: str, lock: HeldLock) -> bool:
        key = _key(account, lock.name)
        record: LockRecord | None = await draft.fresh(key)
        hold = (
            next((each for each in record.holds if each.id == lock.hold), None) if record else None
        )
        if record is None or hold is None:
            return False
        if hold.jid:
            return await self._is_alive(account, hold)
        # One that was renewed late stays held if no other holder has taken the lock meanwhile.
        holds = [self._extended(each, None) if each is hold else each for each in record.holds]
        draft.put(key, LockRecord(record.tokens, holds))
        return True

    async def release(self, account: str, request: ReleaseLockRequest) -> None:
        """Give a lock back, if it is still held."""
        await self._remove(account, request.name, request.hold)

    async def break_lock(self, account: str, name: str) -> None:
        """Take a lock away from all of its holders, which find out when they next renew it.

        Raises:
            NotFound: When it is not held; the message names one with a similar name.
        """
        if not await self._remove(account, name):
            held = [each.name for each in (await self.list(account)).locks]
            near = nearest_name(name, held)
            hint = f"; did you mean {near!r}?" if near else ": see `picloud lock list`."
            raise NotFound(f"No lock {name!r} is held in your account{hint}", field="name")

    async def _remove(self, account: str, name: str, hold: str = "") -> bool:
        """Take a lock away from one of its holders, or from all; return whether it was held."""
        key, counter_key = _key(account, name), f"{FenceCounter.prefix}{account}"

        async def plan(draft: Draft) -> bool:
            record: LockRecord | None = await draft.fresh(key)
            if record is None:
                return False
            was_held = bool(await self._alive(account, record))
            kept = [each for each in record.holds if hold and each.id != hold]
            if len(kept) == len(record.holds):
                return was_held
            if kept:
                draft.put(key, LockRecord(record.tokens, kept))
            else:
                counter: FenceCounter = await draft.get(counter_key) or FenceCounter()
                draft.put(counter_key, FenceCounter(counter.fence, max(counter.locks - 1, 0)))
                draft.delete(key)
            draft.emit(Event(EventKind.KEY, account, key))
            return was_held

        return await self._commits.run(plan)

    async def list(self, account: str) -> LocksListed:
        """Return the locks of an account that are held."""
        prefix = _key(account, "")
        listed = []
        for key, record in sorted((await self._commits.view.scan(prefix)).items()):
            alive = await self._alive(account, record)
            holders = [
                LockHolder(fence=each.fence, acquired_at=each.acquired_at, jid=each.jid)
                for each in sorted(alive, key=lambda each: each.fence)
            ]
            if holders:
                name = key.removeprefix(prefix)
                listed.append(ListedLock(name=name, tokens=record.tokens, holders=holders))
        return LocksListed(locks=listed)

    async def _alive(self, account: str, record: LockRecord | None) -> Sequence[LockHold]:
        holds = record.holds if record is not None else []
        return [each for each in holds if await self._is_alive(account, each)]

    async def _is_alive(self, account: str, hold: LockHold) -> bool:
        if not hold.jid:
            return self._clock() < hold.until
        return await self._tokens.is_held(JobToken(account, hold.slot, hold.jid, hold.attempt))


def _key(account: str, name: str) -> str:
    return f"{LockRecord.prefix}{account}/{name}"


def _counted(tokens: int) -> str:
    return f"{tokens} token{'s' if tokens > 1 else ''}"
