"""Messages of queues of errors go back to where they failed."""

from __future__ import annotations

from typing import Any

import pytest
from cloud._client.queue_messages import packed
from cloud._queues.failed_messages import retry
from cloud.errors import CloudException
from picloud_model import wire
from picloud_model.wire.attachment import HandledRequest
from picloud_model.wire.queue import ExtendRequest, MessagesTaken, TakenMessage, TicketsChecked

from tests.unit.sdk.fake_server import FakeServer, client_for


class FailedServer(FakeServer):
    """A server with a queue of errors."""

    def __init__(self, *failed: Any) -> None:
        super().__init__()
        messages = packed(client_for(self), failed, "json")
        self.waiting = [TakenMessage(str(at), each, 0.0) for at, each in enumerate(messages)]
        self.handled: list[HandledRequest] = []
        self.given_back: list[str] = []

    def _queues_take(self, body: bytes) -> MessagesTaken:
        taken, self.waiting = self.waiting, []
        return MessagesTaken(messages=taken, deadline_at=0.0)

    def _queues_extend(self, body: bytes) -> TicketsChecked:
        self.given_back += wire.decode(body, ExtendRequest).tickets
        return TicketsChecked()

    def _attachments_handled(self, body: bytes) -> TicketsChecked:
        self.handled.append(wire.decode(body, HandledRequest))
        return TicketsChecked()


def test_each_goes_to_its_queue() -> None:
    """In one request, with the tickets of all."""
    server = FailedServer(
        *({"message": n, "queue": f"q{n % 2}", "traceback": ""} for n in range(3))
    )

    assert retry(client_for(server), "failed", "json") == 3

    (request,) = server.handled
    assert request.tickets == ["0", "1", "2"]
    pushed = {each.queue: [message.json for message in each.messages] for each in request.outputs}
    assert pushed == {"q0": ["0", "2"], "q1": ["1"]}


def test_another_message_stops_that() -> None:
    """Nothing is lost: all that were taken are given back."""
    server = FailedServer({"message": 1, "queue": "q"}, "mine")

    with pytest.raises(CloudException, match="no handler has pushed after a failure: 'mine'"):
        retry(client_for(server), "failed", "json")

    assert (server.handled, server.given_back) == ([], ["0", "1"])
