"""SlotSessions: the slots this process talks with, and who of them waits for work."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.wire import AttemptRef, BlockedOn, HeartbeatRequest, Lease

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_driver.scheduler import Pool

    from picloud_api.store.records import Slot

EXPECTED: Final = 1000
"""Most slots of a pool that are remembered as asked for."""


class Blocked(msgspec.Struct, frozen=True):
    """What a slot said of its blocked jobs; `idle` if no other runs there, `full` if none may."""

    awaiting: Sequence[BlockedOn] = ()
    idle: bool = False
    full: bool = False
    since: float = 0.0
    said_at: float = 0.0

    def said(self, request: HeartbeatRequest, now: float) -> Blocked:
        """What is known after a heartbeat."""
        awaiting = request.awaiting
        idle = len(request.running) == len(awaiting) and not request.holding
        same = list(self.awaiting) == awaiting and self.idle == idle
        return Blocked(
            awaiting=awaiting,
            idle=idle,
            full=request.full,
            since=self.since if same else now,
            said_at=now,
        )


class SlotSession:
    """A slot as this process knows it. `kills` are (batch, index, attempt) it is to kill.

    `blocked` are the jobs it has set aside until others end, and since when they are the same.
    `handed` are leases committed for it by others than its own request, which that is to answer.
    `turn` counts its requests for work: one that comes ends the wait of the one before, which
    nobody reads any longer.
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
        """Whether it has looked for work and found none, and now only waits to be woken."""
        self.handed: list[Lease] = []
        self.turn = 0
        self.heartbeat_wakeup = asyncio.Event()
        self.dismissed = False
        """Whether it is to end as soon as it has nothing to do: others need its room."""
        self.kills: set[tuple[str, int, int]] = set()
        self.blocked = Blocked()
        self.may_run_any = False
        """Whether it may run whatever one of its blocked jobs waits for: everything is stuck."""

    @property
    def number(self) -> int:
        """The slot's number."""
        return self.slot.number

    @property
    def pool(self) -> Pool:
        """The pool it belongs to."""
        return self.slot.pool

    @property
    def idle(self) -> bool:
        """Whether it waits for work and has not been woken."""
        return self.waiting is not None and not self.waiting.done()

    def begin_turn(self) -> int:
        """A request for work came; answers its turn."""
        self.turn += 1
        self.wake()
        return self.turn

    def hand(self, lease: Lease) -> None:
        """Give it a lease that is committed."""
        self.handed.append(lease)
        self.wake()

    def take(self) -> list[Lease]:
        """What it was handed, to be answered now."""
        taken, self.handed = self.handed, []
        return taken

    def wake_all(self) -> None:
        """Wake the slot's long polls: there is something it must hear."""
        self.heartbeat_wakeup.set()
        self.wake()

    def take_kills(self) -> list[AttemptRef]:
        """Return the attempts that it has to kill, once."""
        kills, self.kills = self.kills, set()
        return [AttemptRef(*job) for job in sorted(kills)]

    def wake(self) -> None:
        """Wake its wait for work."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)
            self.parked = False


class SlotSessions:
    """The live slots, and for each pool those that wait for work."""

    def __init__(self) -> None:
        self._slots: dict[int, SlotSession] = {}
        self._idle: dict[Pool, deque[SlotSession]] = {}
        self._coming: dict[Pool, list[float]] = {}
        self._blocked: dict[Pool, list[SlotSession]] = {}
        self.closed = False
        """Whether the server stops: no slot is to wait any longer."""

    def get(self, number: int) -> SlotSession | None:
        """A slot's session, or None."""
        return self._slots.get(number)

    def add(self, session: SlotSession) -> SlotSession:
        """Take a slot in; one that was expected is no longer."""
        if session.number not in self._slots and (coming := self._coming.get(session.pool)):
            coming.pop(0)
        return self._slots.setdefault(session.number, session)

    def expect(self, pool: Pool, slots: int, until: float) -> None:
        """Some slots of a pool were asked for and should be here by a time."""
        before = self._coming.get(pool, [])[-EXPECTED:]
        self._coming[pool] = [*before, *[until] * slots]

    def coming(self, pool: Pool, now: float) -> int:
        """How many slots of a pool are still expected."""
        return sum(1 for until in self._coming.get(pool, []) if until > now)

    def give_up(self, pool: Pool) -> None:
        """No slot of a pool is expected any longer: it could not be started."""
        self._coming.pop(pool, None)

    def remove(self, number: int) -> SlotSession | None:
        """Let a slot go; its long polls are woken."""
        session = self._slots.pop(number, None)
        if session is not None:
            session.wake_all()
        return session

    def all(self) -> list[SlotSession]:
        """Every session."""
        return list(self._slots.values())

    def close(self) -> None:
        """The server stops: slots that wait are answered with nothing."""
        self.closed = True
        for session in self.all():
            session.wake_all()

    def count(self, pool: Pool) -> int:
        """How many slots of a pool are live."""
        return sum(1 for session in self._slots.values() if session.pool == pool)

    def dismiss_others(self, pool: Pool) -> None:
        """Let slots of other pools that wait for work end, so that there is room for this one."""
        for other, waiting in self._idle.items():
            for session in list(waiting) if other != pool else ():
                session.dismissed = True
                session.wake()

    def idle(self, pool: Pool) -> int:
        """How many slots of a pool wait for work."""
        waiting = self._idle.get(pool, ())
        return sum(1 for session in waiting if session.idle)

    def parked(self, pool: Pool) -> Iterator[SlotSession]:
        """The slots of a pool that have found no work and wait, the last to wait first."""
        for session in reversed(self._idle.get(pool, ())):
            if session.parked and not session.dismissed:
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
        """Wake a slot's heartbeat also when there is work, for the length of a `with` block."""
        listening = self._blocked.setdefault(session.pool, [])
        listening.append(session)
        try:
            yield
        finally:
            listening.remove(session)

    async def wait(self, session: SlotSession, timeout_s: float) -> None:
        """Wait until a slot that counts as waiting is woken or the time is over."""
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
        """Wake up to `slots` slots that wait for work, the one that waits longest last.

        The last to wait has the warmest caches and lets the others idle out.
        """
        for session in self._blocked.get(pool, ()):
            session.heartbeat_wakeup.set()
        waiting = self._idle.get(pool)
        while waiting and slots > 0:
            session = waiting.pop()
            if session.idle:
                session.wake()
                slots -= 1
