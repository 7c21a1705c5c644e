"""The queue port: durable queues of messages that are delivered until they are removed.

Its level is chosen so that a table in SQLite and a stream of NATS are both simple adapters. Names,
accounts, tickets and what a message means are above it, written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REMEMBERED_S: Final = 300.0
"""How long an adapter remembers the id of a push."""

IDS_REMEMBERED_S: Final = 7 * 24 * 3600.0
"""How long an adapter remembers the ids of messages that are to be pushed once: a week."""


class DeliveryId(msgspec.Struct, frozen=True, array_like=True):
    """One delivery of a message; a later delivery of the same message has another attempt.

    `owner` names the process that gave it out, where that matters; it is "" otherwise.
    """

    number: int
    attempt: int
    owner: str = ""


class Delivery(msgspec.Struct, frozen=True, array_like=True):
    """A message that was taken, and when it was pushed, in seconds since the epoch."""

    id: DeliveryId
    body: bytes
    pushed_at: float


class QueueCounts(msgspec.Struct, frozen=True, array_like=True):
    """How many messages a queue has: to be taken, delayed, and taken but not removed.

    `oldest_at` is when the first that is to be taken was pushed, in seconds since the epoch; 0 if
    there is none.
    """

    ready: int = 0
    delayed: int = 0
    in_flight: int = 0
    oldest_at: float = 0.0


class TakeLimits(msgspec.Struct, frozen=True, array_like=True):
    """How many messages of a queue may be taken a second, and be in flight; 0 for any number."""

    per_second: float = 0.0
    in_flight: int = 0


NO_LIMITS: Final = TakeLimits()


class QueuePush(msgspec.Struct, frozen=True, kw_only=True):
    """Messages to add to one queue, as the arguments of `QueuePort.push`."""

    queue: str
    push_id: str
    bodies: Sequence[bytes]
    delay_s: float = 0.0
    ids: Sequence[str] = ()


class Exchanged(msgspec.Struct, frozen=True, array_like=True):
    """What came of an exchange.

    `expired` has the positions of deliveries that were no longer held; `repeated` has, for each
    push, the positions of messages that were left out for their ids.
    """

    expired: list[int]
    repeated: list[set[int]] = []


def expired_of(held: Sequence[bool]) -> list[int]:
    """Return the positions of deliveries that are not held.

    >>> expired_of([True, False])
    [1]
    """
    return [position for position, each in enumerate(held) if not each]


class QueuePort(ABC):
    """What a queue store promises. Each sentence here is a contract test.

    A queue is named by 1 to 60 letters, digits, `-` and `_`; a name is never used for a second
    queue. Messages are bytes, up to 1,000,000 each. Their order is roughly that of their pushes.
    Every method raises `Unavailable` when the store cannot answer, and `QueueNotFound` for a queue
    that does not exist.
    """

    adapter: ClassVar[str]
    """Name of the adapter, for health and messages."""
    max_messages: ClassVar[int] = 1000
    """Most messages of one push, and of one take."""
    max_taken_bytes: ClassVar[int] = 4_000_000
    """A take returns no further message once it has that many bytes."""

    @abstractmethod
    async def create(self, queue: str) -> None:
        """Make a queue; one that exists is left as it is."""

    @abstractmethod
    async def delete(self, queue: str) -> None:
        """Remove a queue with its messages; a missing one is not an error."""

    @abstractmethod
    async def push(
        self,
        queue: str,
        push_id: str,
        bodies: Sequence[bytes],
        delay_s: float = 0.0,
        *,
        ids: Sequence[str] = (),
    ) -> set[int]:
        """Add messages, all or none; once this returns, they survive a power failure.

        Args:
            queue: The queue.
            push_id: Letters and digits that identify the push: a repetition within five minutes
                adds nothing.
            bodies: The messages.
            delay_s: How long they cannot be taken yet, in seconds.
            ids: An id for each message, of letters and digits: a message whose id was pushed into
                the queue within a week is left out. Then `push_id` has no effect, and up to 500
                messages are added all or none.

        Returns:
            The positions of messages that were left out for their ids.
        """

    @abstractmethod
    async def take(
        self,
        queue: str,
        most: int,
        *,
        deadline_s: float,
        timeout_s: float,
        limits: TakeLimits = NO_LIMITS,
    ) -> list[Delivery]:
        """Take messages, which no other caller can take until their deadline.

        A message that was not removed by then can be taken again. So can one whose store or whose
        server process was restarted, even before its deadline.

        Args:
            queue: The queue.
            most: How many to take at most; fewer are returned if fewer are ready.
            deadline_s: Seconds until the deadline.
            timeout_s: How long to wait for the first message; 0 returns what is ready.
            limits: Take no more than these allow. The pace is that of all takes with a limit; in
                flight is what any caller has taken. After a restart of the process that counts,
                the pace may be exceeded by a tenth of a second's messages.
        """

    @abstractmethod
    async def remove(self, queue: str, deliveries: Sequence[DeliveryId]) -> list[bool]:
        """Remove messages that were taken.

        Returns:
            For each whether the message is gone: also if it was removed before. It is False, and
            the message stays, if another caller took it since.
        """

    @abstractmethod
    async def exchange(
        self,
        queue: str,
        deliveries: Sequence[DeliveryId],
        pushes: Sequence[QueuePush],
        *,
        hold_s: float,
    ) -> Exchanged:
        """Push messages, and remove those that they were made of.

        Nothing is pushed or removed if one of the messages is gone, or was taken again. If this
        raises an error, the messages stay, and what was pushed is not pushed again by a repetition.

        Args:
            queue: The queue of the messages that are removed.
            deliveries: Those messages, which were taken.
            pushes: What to add, to this or other queues; if one does not exist, `QueueNotFound`.
            hold_s: For how long no other caller can take the messages while others are pushed.
        """

    @abstractmethod
    async def postpone(
        self, queue: str, deliveries: Sequence[DeliveryId], deadline_s: float
    ) -> list[bool]:
        """Set new deadlines of messages that were taken, counted from now.

        Returns:
            For each whether it was set; False if the message is gone or was taken again.
        """

    @abstractmethod
    async def counts(self, queue: str) -> QueueCounts:
        """Return how many messages a queue has."""

    @abstractmethod
    def bodies(self, queue: str) -> AsyncIterator[bytes]:
        """Yield all messages of a queue, each once: ready, delayed and taken.

        It takes none of them. Those that are pushed or removed meanwhile may be among them or not.
        """

    @abstractmethod
    async def purge(self, queue: str) -> None:
        """Remove all messages of a queue: ready, delayed and taken."""

    @abstractmethod
    async def ping(self) -> None:
        """Return if queues can be used, else raise `Unavailable`."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections and files; afterwards no method may be called."""
