"""`async for` over a queue: each message is removed before it is yielded, the rest given back."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
from cloud._queues.iteration import messages_of
from cloud.queue import CloudQueue
from picloud_model import wire
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    ExtendRequest,
    MessagesTaken,
    QueueMessage,
    TakenMessage,
    TicketsChecked,
)

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator


class NumberServer(FakeServer):
    """A server with a queue of the numbers 0 to 3; the ticket of 1 has expired."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = [TakenMessage(str(n), QueueMessage(json=str(n)), 0.0) for n in range(4)]
        self.acknowledged: list[str] = []
        self.given_back: list[str] = []

    def _queues_take(self, body: bytes) -> MessagesTaken:
        taken, self.waiting = self.waiting, []
        return MessagesTaken(messages=taken, deadline_at=0.0)

    def _queues_ack(self, body: bytes) -> TicketsChecked:
        (ticket,) = wire.decode(body, AcknowledgeRequest).tickets
        self.acknowledged.append(ticket)
        return TicketsChecked(expired=[0] if ticket == "1" else [])

    def _queues_extend(self, body: bytes) -> TicketsChecked:
        self.given_back += wire.decode(body, ExtendRequest).tickets
        return TicketsChecked()


@pytest.fixture
def server() -> Iterator[NumberServer]:
    """Four numbers."""
    made = NumberServer()
    with current_client(client_for(made)):
        yield made


async def test_messages_are_removed_as_they_are_yielded(server: NumberServer) -> None:
    """One that is no longer ours is passed over; what is left at the end is given back."""
    async with aclosing(messages_of(CloudQueue("q"))) as messages:
        async for number in messages:
            assert server.acknowledged[-1] == str(number)
            if number == 2:
                break

    assert server.acknowledged == ["0", "1", "2"]
    assert server.given_back == ["3"]


async def test_a_loop_that_is_cancelled_ends(server: NumberServer) -> None:
    """While it waits for messages."""
    server.waiting = []

    async def endless() -> None:
        async for _ in CloudQueue("q"):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(endless(), 0.1)
    assert server.acknowledged == []
