"""`cloud.queue`: queues of messages, for scripts, for jobs and for programs in other languages.

    numbers = cloud.queue.get("numbers")
    numbers.push([1, 2, 3])
    numbers.pop()  # [1, 2, 3], perhaps in another order

A message that was pushed survives a power failure. Its order is roughly that of the pushes.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
import math
import re
import time
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire.queue import (
    MAX_DEADLINE_S,
    MAX_DELAY_S,
    MAX_MESSAGES,
    MAX_QUEUE_NAME,
    MIN_DEADLINE_S,
)

from cloud._arguments.option_values import whole
from cloud._client.border import of_users
from cloud._client.current import client
from cloud._client.queue_messages import ENCODINGS, PICKLE, packed, unpacked
from cloud._resources.queue import QueueClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.wire.queue import MessagesTaken

__all__ = ["CloudQueue", "MessageTicket", "exists", "get", "list"]

_NAME: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_QUEUE_NAME}}}")
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
    return _client().exists(_checked_name(name))


@of_users
def list() -> builtins.list[CloudQueue]:  # noqa: A001 - users write cloud.queue.list
    """Return your queues, in the order of their names.

    >>> cloud.queue.get("numbers") in cloud.queue.list()
    True
    """
    return [CloudQueue(name) for name in _client().names()]


class CloudQueue:
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
            raise CloudException(f"encoding is 'pickle' or 'json', not {encoding!r:.80}.")
        self.name = _checked_name(name)
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
        """Return what is known of the queue.

        Returns:
            Its `name`, the time when it was made in seconds since the epoch as `created`, and how
            many messages can be taken (`count`), come later (`delayed`), and were taken, but
            neither acknowledged nor given back (`in_flight`).
        """
        info = _client().info(self.name)
        return {
            "name": info.name,
            "created": info.created_at,
            "count": info.ready,
            "delayed": info.delayed,
            "in_flight": info.in_flight,
        }

    @of_users
    def delete(self) -> None:
        """Delete the queue with its messages; if it does not exist, nothing happens."""
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
            raise CloudException(
                f"push takes a list of messages, not {messages!r:.80}; for one, push([message])."
            )
        delay_s = _seconds("delay", delay, 0, MAX_DELAY_S)
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
        deadline_s = _seconds("deadline", deadline, MIN_DEADLINE_S, MAX_DEADLINE_S)
        taken = self._take(max_count, timeout, deadline_s)
        # By this machine's clock, which may differ from the server's.
        until = time.time() + deadline_s
        values = unpacked(client(), [each.message for each in taken.messages])
        return [
            MessageTicket(self, value, each.ticket, until, each.pushed_at)
            for value, each in zip(values, taken.messages, strict=True)
        ]

    @of_users
    def ack(self, message_tickets: Sequence[MessageTicket]) -> None:
        """Remove messages that were taken with `pop_tickets`; doing it twice is not an error.

        Args:
            message_tickets: The tickets, all of this queue.

        Raises:
            CloudException: When the deadline of some has passed, and they were given back; the
                others are removed. Also for tickets of another queue; then none is removed.
        """
        tickets = _tickets(message_tickets)
        _refuse_expired(_client().acknowledge(self.name, tickets), len(tickets))

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
        deadline_s = _seconds("new_deadline", new_deadline, 0, MAX_DEADLINE_S)
        now = time.time()
        expired = _client().extend(self.name, _tickets(message_tickets), deadline_s)
        for position, each in enumerate(message_tickets):
            if position not in expired:
                each.deadline = now + deadline_s
        _refuse_expired(expired, len(message_tickets))

    def _take(self, max_count: int, timeout: float, deadline_s: float) -> MessagesTaken:
        count = whole(max_count)
        if count is None or not 1 <= count <= MAX_MESSAGES:
            raise CloudException(f"max_count is 1 to {MAX_MESSAGES:,}, not {max_count!r:.80}.")
        timeout_s = _seconds("timeout", timeout, 0, math.inf)
        return _client().take(self.name, count, timeout_s, deadline_s)


class MessageTicket:
    """A message that was taken and stays in its queue until it is acknowledged.

    Attributes:
        queue: The queue.
        message: The message.
        ticket: The text that identifies this delivery to the server.
        deadline: When the message can be taken again, in seconds since the epoch.
        creation_time: When it was pushed, in seconds since the epoch.
    """

    def __init__(
        self,
        queue: CloudQueue,
        message: Any,
        ticket: str,
        deadline: float,
        creation_time: float | None = None,
    ) -> None:
        self.queue = queue
        self.message = message
        self.ticket = ticket
        self.deadline = deadline
        self.creation_time = creation_time

    def __repr__(self) -> str:
        return f"MessageTicket({self.queue.name!r}, {self.message!r:.80})"

    @of_users
    def ack(self) -> None:
        """Remove the message; see `CloudQueue.ack`."""
        self.queue.ack([self])

    def time_until_deadline(self) -> float:
        """Return how many seconds are left; negative once the deadline has passed."""
        return self.deadline - time.time()

    @of_users
    def update_deadline(self, new_deadline: float) -> None:
        """Set a new deadline, in seconds from now; see `CloudQueue.update_deadline`."""
        self.queue.update_deadline([self], new_deadline)


def _client() -> QueueClient:
    return QueueClient(client().transport)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CloudException(
            f"{name!r:.80} cannot name a queue: a name has 1 to {MAX_QUEUE_NAME} letters, digits, "
            "hyphens and underscores."
        )
    return name


def _seconds(name: str, value: Any, least: float, most: float) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    seconds = float(value) if is_number else math.nan
    if not least <= seconds <= most:
        limit = f"{least:,.0f} or more" if math.isinf(most) else f"{least:,.0f} to {most:,.0f}"
        raise CloudException(f"{name} is a number of seconds, {limit}, not {value!r:.80}.")
    return seconds


def _tickets(message_tickets: Any) -> builtins.list[str]:
    if isinstance(message_tickets, MessageTicket):
        return [message_tickets.ticket]
    try:
        return [each.ticket for each in message_tickets]
    except (TypeError, AttributeError) as error:
        raise CloudException(
            f"This takes a list of tickets from pop_tickets, not {message_tickets!r:.80}."
        ) from error


def _refuse_expired(expired: set[int], count: int) -> None:
    if expired:
        raise CloudException(
            f"{len(expired)} of {count} tickets are no longer valid: their deadline has passed, "
            "and their messages can be taken again, or were.",
            code="ticket.expired",
        )


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
