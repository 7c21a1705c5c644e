"""A queue with a handler: what `pause`, `resume`, `limit` and `drain` send and wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cloud import CloudTimeoutError
from cloud.queue import CloudQueue
from picloud_model import wire
from picloud_model.wire.attachment import AttachmentInfo, UpdateAttachmentRequest
from picloud_model.wire.queue import QueueInfo

from tests.current_client import current_client
from tests.unit.sdk.fake_server import FakeServer, client_for

if TYPE_CHECKING:
    from collections.abc import Iterator


class HandledServer(FakeServer):
    """A server with a queue whose messages become fewer with each look, and its handler."""

    def __init__(self) -> None:
        super().__init__()
        self.left = [3, 0, 1]
        self.looks = 0
        self.updates: list[UpdateAttachmentRequest] = []

    def _queues_info(self, body: bytes) -> QueueInfo:
        self.looks += 1
        in_flight = self.left.pop(0) if self.left else 0
        return QueueInfo(name="q", created_at=0.0, ready=0, delayed=0, in_flight=in_flight)

    def _attachments_update(self, body: bytes) -> AttachmentInfo:
        self.updates.append(wire.decode(body, UpdateAttachmentRequest))
        return AttachmentInfo(
            queue="q",
            id="0" * 32,
            function_name="f",
            created_at=0.0,
            outputs=[],
            errors=[],
            max_parallel_jobs=1,
            readers_per_job=1,
            jids=[],
        )


@pytest.fixture
def server() -> Iterator[HandledServer]:
    """A queue with a handler."""
    made = HandledServer()
    with current_client(client_for(made)):
        yield made


def test_only_what_is_to_change_is_sent(server: HandledServer) -> None:
    """The rest stays as it is."""
    q = CloudQueue("q")
    q.pause()
    q.resume()
    q.limit(7)

    assert server.updates == [
        UpdateAttachmentRequest(queue="q", paused=True),
        UpdateAttachmentRequest(queue="q", paused=False),
        UpdateAttachmentRequest(queue="q", max_parallel_jobs=7),
    ]


def test_a_queue_is_drained_once_it_stays_empty(server: HandledServer) -> None:
    """A queue that is empty for a moment may get a message again."""
    CloudQueue("q").drain()

    assert (server.left, server.looks) == ([], 5)


def test_a_drain_ends_with_its_timeout(server: HandledServer) -> None:
    """The error says how many messages are left."""
    with pytest.raises(CloudTimeoutError, match="'q' still has 3 messages"):
        CloudQueue("q").drain(timeout=0)
