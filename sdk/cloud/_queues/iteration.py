"""Iterating over the messages of a queue in asyncio."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_AT_ONCE: Final = 10
_TIMEOUT_S: Final = 2.0
"""Of one request; a program that ends waits for it."""
_DEADLINE_S: Final = 60.0


async def messages_of(queue: Any) -> AsyncIterator[Any]:
    """Yield the messages of a queue, without end; each is removed before it is yielded."""
    tickets: list[Any] = []
    try:
        while True:
            tickets = await _take(queue)
            while tickets:
                ticket = tickets.pop(0)
                try:
                    await asyncio.to_thread(ticket.ack)
                except CloudException as error:
                    # The loop was slow: another program has this message.
                    if error.code != "ticket.expired":
                        raise
                    continue
                yield ticket.message
    finally:
        if tickets:
            # Their deadline gives them back, too.
            with suppress(CloudException):
                await asyncio.to_thread(queue.update_deadline, tickets, 0)


async def _take(queue: Any) -> list[Any]:
    """Return tickets, or none after a while."""
    cancelled = threading.Event()

    def take() -> list[Any]:
        tickets: list[Any] = queue.pop_tickets(_AT_ONCE, _TIMEOUT_S, _DEADLINE_S)
        if tickets and cancelled.is_set():
            queue.update_deadline(tickets, 0)
        return tickets

    try:
        return await asyncio.to_thread(take)
    except asyncio.CancelledError:
        # The thread goes on: it gives back what it takes.
        cancelled.set()
        raise
