"""Slot sessions: what this process knows about the live slots that talk with it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import AttemptRef, BlockedOn, HeartbeatRequest, Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from picloud_driver.scheduler import Pool

    from picloud_api.store.records import Slot

EXPECTED: Final = 1000
"""Most requested slots of a pool that are counted."""


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """What a slot last reported about its blocked jobs."""

    awaiting: Sequence[BlockedOn] = ()
    """The jobs, the newest last."""
    idle: bool = False
    """Whether no other job runs there."""
    full: bool = False
    """Whether it can set aside no more jobs."""
    since: float = 0.0
    """Since when these jobs are the same."""
    reported_at: float = 0.0

    def after(self, request: HeartbeatRequest, now: float) -> Blocked:
        """Return what is known after a heartbeat."""
        awaiting = request.awaiting
        idle = len(request.running) == len(awaiting) and not request.holding
        same = list(self.awaiting) == awaiting and self.idle == idle
        return Blocked(
            awaiting=awaiting,
            idle=idle,
            full=request.full,
            since=self.since if same else now,
            reported_at=now,
        )


class SlotSession:
    """A slot as this process knows it.

    `kills` are the jobs that it has to kill, as (batch, index, attempt). `handed` are leases that
    submits committed for it: its waiting request returns them. `turn` counts its requests for work:
    a new one ends the wait of the one before, whose answer the slot no longer reads.
    """

    __slots__ = (
        "blocked",
        "dismissed",
        "handed",
        "heartbeat_wakeup",
        "kills",
        "loaded_at",
        "may_run_any",
        "parked",
        "seen_at",
        "slot",
        "turn",
        "waiting",
    )

    def __init__(self, slot: Slot, now: float) -> None:
        self.slot = slot
        self.seen_at = now
        self.loaded_at = now
        self.waiting: asyncio.Future[None] | None = None
        self.parked = False
        """Whether it has found no work and only waits to be woken."""
        self.handed: list[Lease] = []
        self.turn = 0
        self.heartbeat_wakeup = asyncio.Event()
        self.dismissed = False
        """Whether it has to end as soon as it has nothing to do: another pool needs its room."""
        self.kills: set[tuple[str, int, int]] = set()
        self.blocked = Blocked()
        self.may_run_any = False
        """Whether it may run whatever one of its blocked jobs waits for, as all slots are stuck."""

    @property
    def number(self) -> int:
        """The slot's number."""
        return self.slot.number

    @property
    def pool(self) -> Pool:
        """The pool it belongs to."""
        return self.slot.pool

    @property
    def retiring(self) -> bool:
        """Whether it has to end before its next job: its user wants new slots."""
        return self.slot.retiring

    @property
    def idle(self) -> bool:
        """Whether it waits for work and has not been woken."""
        return self.waiting is not None and not self.waiting.done()

    def begin_turn(self) -> int:
        """Begin a request for work; return its turn."""
        self.turn += 1
        self.wake()
        return self.turn

    def begin_heartbeat(self) -> asyncio.Event:
        """End the heartbeat before, whose answer the slot no longer reads; return what wakes it."""
        self.heartbeat_wakeup.set()
        self.heartbeat_wakeup = asyncio.Event()
        return self.heartbeat_wakeup

    def hand(self, lease: Lease) -> None:
        """Give it a committed lease."""
        self.handed.append(lease)
        self.wake()

    def take(self) -> list[Lease]:
        """Return what it was handed, for its answer."""
        taken, self.handed = self.handed, []
        return taken

    def wake_all(self) -> None:
        """Wake the slot's long polls: there is something to answer."""
        self.heartbeat_wakeup.set()
        self.wake()

    def take_kills(self) -> list[AttemptRef]:
        """Return the attempts that it has to kill, once."""
        kills, self.kills = self.kills, set()
        return [AttemptRef(*job) for job in sorted(kills)]

    def wake(self) -> None:
        """End its wait for work."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)
            self.parked = False


class SlotSessions:
    """The live slots, and for each pool those that wait for work."""

    def __init__(self) -> None:
        self._slots: dict[int, SlotSession] = {}
        self._idle: dict[Pool, deque[SlotSession]] = {}
        self._starting: dict[Pool, list[float]] = {}
        self._blocked: dict[Pool, list[SlotSession]] = {}
        self.ended: set[int] = set()
        """The slots that were found to have ended and still hold leases, by their numbers."""
        self.closed = False
        """Whether the server stops: then no slot waits."""

    def get(self, number: int) -> SlotSession | None:
        """Return a slot's session, or None."""
        return self._slots.get(number)

    def add(self, session: SlotSession) -> SlotSession:
        """Add a slot; it no longer counts as starting."""
        if session.number not in self._slots and (starting := self._starting.get(session.pool)):
            starting.pop(0)
        return self._slots.setdefault(session.number, session)

    def expect(self, pool: Pool, slots: int, until: float) -> None:
        """Count requested slots of a pool as starting until a time."""
        before = self._starting.get(pool, [])[-EXPECTED:]
        self._starting[pool] = [*before, *[until] * slots]

    def starting(self, pool: Pool, now: float) -> int:
        """Return how many slots of a pool were requested and may still register."""
        return sum(1 for until in self._starting.get(pool, []) if until > now)

    def give_up(self, pool: Pool) -> None:
        """Count no slot of a pool as starting: none could be started."""
        self._starting.pop(pool, None)

    def remove(self, number: int) -> SlotSession | None:
        """Remove a slot and wake its long polls."""
        session = self._slots.pop(number, None)
        if session is not None:
            session.wake_all()
        return session

    def all(self) -> list[SlotSession]:
        """Return every session."""
        return list(self._slots.values())

    def close(self) -> None:
        """End the wait of all slots, as the server stops."""
        self.closed = True
        for session in self.all():
            session.wake_all()

    def count(self, pool: Pool) -> int:
        """Return how many slots of a pool are live."""
        return sum(1 for session in self._slots.values() if session.pool == pool)

    def of_account(self, account: str) -> int:
        """Return how many slots of an account there are."""
        return sum(1 for session in self._slots.values() if session.pool.account == account)

    def dismiss_others(self, pool: Pool, cores: int, reserved: Callable[[Pool], int]) -> None:
        """End waiting slots of other pools until there is room for a number of cores.

        First slots of the pools that have most, and of these the ones that have waited longest: the
        next job of a pool without any waits for a new slot.

        Args:
            pool: The pool.
            cores: How many cores.
            reserved: Returns how many slots of a pool stay, unless this account has reserved them.
        """
        waiting = {
            other: [session for session in sessions if session.idle and not session.dismissed]
            for other, sessions in self._idle.items()
            if other != pool
        }
        slots = Counter(each.pool for each in self._slots.values() if not each.dismissed)
        kept = {other: 0 if other.account == pool.account else reserved(other) for other in waiting}
        while cores > 0 and (
            left := [other for other in waiting if waiting[other] and slots[other] > kept[other]]
        ):
            chosen = max(left, key=lambda other: (slots[other], -waiting[other][0].seen_at))
            session = waiting[chosen].pop(0)
            session.dismissed = True
            session.wake()
            slots[chosen] -= 1
            cores -= chosen.cores

    def idle(self, pool: Pool) -> int:
        """Return how many slots of a pool wait for work."""
        waiting = self._idle.get(pool, ())
        return sum(1 for session in waiting if session.idle)

    def parked(self, pool: Pool) -> Iterator[SlotSession]:
        """Yield the slots of a pool that have found no work and wait, the last to wait first."""
        for session in reversed(self._idle.get(pool, ())):
            if session.parked and not (session.dismissed or session.retiring):
                yield session

    def waits(self, account: str) -> bool:
        """Whether a slot of an account waits for work, also for what its blocked jobs need."""
        return any(pool.account == account and self.idle(pool) for pool in self._idle) or any(
            pool.account == account and listening for pool, listening in self._blocked.items()
        )

    @contextmanager
    def waiting(self, session: SlotSession) -> Iterator[asyncio.Future[None]]:
        """Count a slot among those that wait for work, for the length of a `with` block."""
        session.waiting = future = asyncio.get_running_loop().create_future()
        waiting = self._idle.setdefault(session.pool, deque())
        waiting.append(session)
        try:
            yield future
        finally:
            if session.waiting is future:
                session.waiting = None
            if session in waiting:
                waiting.remove(session)

    @contextmanager
    def listening(self, session: SlotSession) -> Iterator[None]:
        """Wake a slot's heartbeat also for new work, for the length of a `with` block."""
        listening = self._blocked.setdefault(session.pool, [])
        listening.append(session)
        try:
            yield
        finally:
            listening.remove(session)

    async def wait(self, session: SlotSession, timeout_s: float) -> None:
        """Wait until a slot that counts as waiting is woken, or for `timeout_s`."""
        future = session.waiting
        if future is None or future.done():
            return
        session.parked = True
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await future
        if session.waiting is future:
            session.parked = False

    def wake(self, pool: Pool, slots: int) -> None:
        """Wake up to `slots` slots that wait for work, the one that has waited longest last.

        The last to wait has the warmest caches, and the others can idle out.
        """
        for session in self._blocked.get(pool, ()):
            session.heartbeat_wakeup.set()
        waiting = self._idle.get(pool)
        while waiting and slots > 0:
            session = waiting.pop()
            if session.idle:
                session.wake()
                slots -= 1
