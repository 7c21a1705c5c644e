"""`cloud.queue`: queues of messages, for scripts, for jobs and for programs in other languages.

    numbers = cloud.queue.get("numbers")
    numbers.push([1, 2, 3])
    numbers.pop()  # [1, 2, 3], perhaps in another order

A message that was pushed survives a power failure. Its order is roughly that of the pushes.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
import math
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.queue import (
    MAX_DEADLINE_S,
    MAX_DELAY_S,
    MAX_MESSAGES,
    MIN_DEADLINE_S,
)

from cloud._client.current import client
from cloud._client.queue_messages import ENCODINGS, PICKLE, packed, unpacked
from cloud._config.border import of_users
from cloud._queues import arguments
from cloud._queues.handled_queue import HandledQueue, attachments
from cloud._queues.retry import MaxRetryException, Retry
from cloud._queues.ticket import MessageTicket, refuse_expired, tickets_of
from cloud._resources.queue import QueueClient
from cloud.errors import CloudValueError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from picloud_model.wire.queue import MessagesTaken


__all__ = [
    "CloudQueue",
    "MaxRetryException",
    "MessageTicket",
    "Retry",
    "exists",
    "get",
    "list",
    "pipeline",
]

_AT_ONCE: Final = 800
"""Messages of one request of a push, which are added all or none."""
_POP_DEADLINE_S: Final = 30.0


@of_users
def get(name: str, encoding: str = PICKLE) -> CloudQueue:
    """Return the queue of that name; it is made if it does not exist.

    Args:
        name: Up to 40 letters, digits, hyphens and underscores.
        encoding: How messages are pushed: "pickle", for any value, or "json", which programs in
            other languages can read. Messages of both kinds are read.

    Raises:
        CloudException: When the name or the encoding is not allowed.

    >>> numbers = cloud.queue.get("numbers")
    >>> numbers.push([1, 2])
    >>> sorted(numbers.pop())
    [1, 2]
    """
    queue = CloudQueue(name, encoding)
    _client().create(queue.name)
    return queue


@of_users
def exists(name: str) -> bool:
    """Return whether there is a queue of that name.

    Args:
        name: Up to 40 letters, digits, hyphens and underscores.

    Raises:
        CloudException: When the name is not allowed.

    >>> cloud.queue.exists("no-such-queue")
    False
    """
    return _client().exists(arguments.queue_name(name))


@of_users
def list() -> builtins.list[CloudQueue]:  # noqa: A001 - users write cloud.queue.list
    """Return your queues, in the order of their names.

    >>> cloud.queue.get("numbers") in cloud.queue.list()
    True
    """
    return [CloudQueue(name) for name in _client().names()]


@of_users
def pipeline() -> builtins.list[dict[str, Any]]:
    """Return what `CloudQueue.info` returns for each of your queues, in the order of their names.

    The `attachment` of each says which queues its handler pushes into.

    >>> [each["name"] for each in cloud.queue.pipeline()] == [q.name for q in cloud.queue.list()]
    True
    """
    from cloud._queues.info import counted, shown  # noqa: PLC0415 - few scripts need it

    attached = {each.queue: shown(each) for each in attachments().list()}
    rates = {each.queue: each for each in _client().rates()}
    queues = []
    for name in sorted(rates):
        info = counted(_client().info(name), rates[name])
        queues.append(info | ({"attachment": attached[name]} if name in attached else {}))
    return queues


class CloudQueue(HandledQueue):
    """A queue of your account; `cloud.queue.get` makes it.

    Attributes:
        name: Its name.
        encoding: How its messages are pushed, "pickle" or "json".

    >>> words = cloud.queue.get("words", encoding="json")
    >>> words.push(["one"])
    >>> for ticket in words.pop_tickets(deadline=60):
    ...     print(ticket.message)
    ...     ticket.ack()
    one
    >>> words.count()
    0
    """

    def __init__(self, name: str, encoding: str = PICKLE) -> None:
        if encoding not in ENCODINGS:
            raise CloudValueError(f"encoding is 'pickle' or 'json', not {encoding!r:.80}.")
        self.name = arguments.queue_name(name)
        self.encoding = encoding

    def __repr__(self) -> str:
        return f"CloudQueue({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CloudQueue) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    @of_users
    def count(self) -> int:
        """Return how many messages can be taken now.

        Raises:
            CloudException: When the queue does not exist; all methods but `delete` raise it then.
        """
        return _client().info(self.name).ready

    @of_users
    def info(self) -> dict[str, Any]:
        """Return the settings of the queue and the number of its messages.

        Returns:
            Its `name`, the time when it was made in seconds since the epoch as `created`, and how
            many messages can be taken (`count`), come later (`delayed`), and were taken, but
            neither acknowledged nor given back (`in_flight`). `oldest` is when the first message
            that can be taken was pushed, None without any. `per_second` has the messages that came
            (`in`), were acknowledged (`out`) and `failed` in a handler in the last minute, as a
            mean; `per_10_s` counts them for each 10 seconds of the last hour, the oldest first,
            `until` a time. The server counts from its start. With a handler also `attachment`: its
            `function`, the names of its queues (`output_queues`, `error_queues`),
            `max_parallel_jobs`, `readers_per_job`, `max_per_second` and `max_in_flight`, which
            are None without a limit, `dedupe`, and the `jids` of its unfinished jobs.
        """
        from cloud._queues.info import counted, shown  # noqa: PLC0415 - few scripts need it

        known = counted(_client().info(self.name), _client().rates(self.name)[0])
        attached = attachments().find(self.name)
        return known | ({"attachment": shown(attached)} if attached else {})

    @of_users
    def delete(self) -> None:
        """Delete the queue with its messages; if it does not exist, nothing happens.

        Programs that use it get an error from then on, until `cloud.queue.get` makes a new one.

        Raises:
            CloudException: When a handler is attached to it.
        """
        _client().delete(self.name)

    @of_users
    def purge(self) -> None:
        """Remove all messages of the queue."""
        _client().purge(self.name)

    @of_users
    def push(self, messages: Iterable[Any], delay: float = 0) -> None:
        """Add messages; once this returns, they survive a power failure.

        Up to 800 messages are added all or none; more are added in portions of 800.

        Args:
            messages: A list or another iterable of any values; with the encoding "json", of values
                that JSON can hold. Large ones are stored apart.
            delay: Seconds until they can be taken, up to a year.

        Raises:
            CloudException: When a message cannot be pickled; says which, and which part of it.
        """
        if isinstance(messages, (str, bytes, dict)) or not isinstance(messages, Iterable):
            raise CloudValueError(
                f"push takes a list of messages, not {messages!r:.80}; for one, push([message])."
            )
        delay_s = arguments.seconds("delay", delay, 0, MAX_DELAY_S)
        prepared = packed(client(), messages, self.encoding)
        for start in range(0, len(prepared), _AT_ONCE):
            _client().push(self.name, prepared[start : start + _AT_ONCE], delay_s)

    @of_users
    def pop(self, max_count: int = 10, timeout: float = 20) -> builtins.list[Any]:
        """Take messages and remove them from the queue.

        Args:
            max_count: The most messages to take, 1 to 1,000.
            timeout: Seconds to wait for the first message, if there is none.

        Returns:
            Up to `max_count` messages; an empty list if there was none in time.

        Raises:
            CloudException: When a message cannot be read here; those taken with it stay in the
                queue, and can be taken again 30 seconds later.
        """
        taken = self._take(max_count, timeout, _POP_DEADLINE_S)
        if not taken.messages:
            return []
        values = unpacked(client(), [each.message for each in taken.messages])
        expired = _client().acknowledge(self.name, [each.ticket for each in taken.messages])
        return [value for position, value in enumerate(values) if position not in expired]

    @of_users
    def pop_tickets(
        self, max_count: int = 10, timeout: float = 20, deadline: float = 30
    ) -> builtins.list[MessageTicket]:
        """Take messages, which no other program can take until the deadline.

        Acknowledge each message by then: otherwise it can be taken again.

        Args:
            max_count: The most messages to take, 1 to 1,000.
            timeout: Seconds to wait for the first message, if there is none.
            deadline: Seconds until the messages can be taken again, 3 to 43,200.

        Returns:
            A ticket for each message.
        """
        deadline_s = arguments.seconds("deadline", deadline, MIN_DEADLINE_S, MAX_DEADLINE_S)
        taken = self._take(max_count, timeout, deadline_s)
        # By this machine's clock, which may differ from the server's.
        until = time.time() + deadline_s
        values = unpacked(client(), [each.message for each in taken.messages])
        return [
            MessageTicket(self, value, each.ticket, until, each.pushed_at)
            for value, each in zip(values, taken.messages, strict=True)
        ]

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield messages as they come, without end; each is removed before it is yielded.

        Messages that were taken and not yielded, because the loop ended, are given back.

        >>> import asyncio
        >>> words = cloud.queue.get("words")
        >>> async def first(queue):
        ...     async for message in queue:
        ...         return message
        >>> words.push(["one"])
        >>> asyncio.run(first(words))
        'one'
        """
        from cloud._queues.iteration import messages_of  # noqa: PLC0415 - few scripts

        async for message in messages_of(self):
            yield message

    @of_users
    def ack(self, message_tickets: Sequence[MessageTicket]) -> None:
        """Remove messages that were taken with `pop_tickets`; doing it twice is not an error.

        Args:
            message_tickets: The tickets, all of this queue.

        Raises:
            CloudException: When the deadline of some has passed, and they were given back; the
                others are removed. Also for tickets of another queue; then none is removed.
        """
        tickets = tickets_of(message_tickets)
        refuse_expired(_client().acknowledge(self.name, tickets), len(tickets))

    @of_users
    def update_deadline(
        self, message_tickets: Sequence[MessageTicket], new_deadline: float
    ) -> None:
        """Give messages that were taken a new deadline.

        Args:
            message_tickets: The tickets, all of this queue.
            new_deadline: Seconds from now, up to 43,200; 0 lets the messages be taken again.

        Raises:
            CloudException: When the deadline of some has passed, and they were given back.
        """
        deadline_s = arguments.seconds("new_deadline", new_deadline, 0, MAX_DEADLINE_S)
        now = time.time()
        expired = _client().extend(self.name, tickets_of(message_tickets), deadline_s)
        for position, each in enumerate(message_tickets):
            if position not in expired:
                each.deadline = now + deadline_s
        refuse_expired(expired, len(message_tickets))

    def _take(self, max_count: int, timeout: float, deadline_s: float) -> MessagesTaken:
        count = arguments.count("max_count", max_count, 1, MAX_MESSAGES)
        timeout_s = arguments.seconds("timeout", timeout, 0, math.inf)
        return _client().take(self.name, count, timeout_s, deadline_s)


def _client() -> QueueClient:
    return QueueClient(client().transport)


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
