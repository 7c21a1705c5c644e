"""Tickets: messages that were taken and stay in their queue until they are acknowledged."""

from __future__ import annotations

import time
from typing import Any

from cloud._config.border import of_users
from cloud.errors import CloudException, CloudValueError


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
        queue: Any,
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


def tickets_of(message_tickets: Any) -> list[str]:
    """Return the texts of tickets, which are given as one ticket or as a list."""
    if isinstance(message_tickets, MessageTicket):
        return [message_tickets.ticket]
    try:
        return [each.ticket for each in message_tickets]
    except (TypeError, AttributeError) as error:
        raise CloudValueError(
            f"This takes a list of tickets from pop_tickets, not {message_tickets!r:.80}."
        ) from error


def refuse_expired(expired: set[int], count: int) -> None:
    """Raise CloudException if some of `count` tickets are no longer valid."""
    if expired:
        raise CloudException(
            f"{len(expired)} of {count} tickets are no longer valid: their deadline has passed, "
            "and their messages can be taken again, or were.",
            code="ticket.expired",
        )
