"""Records of queues and handlers: how they are stored must not change."""

from __future__ import annotations

import msgspec
from picloud_api.store.queue_record import (
    AttachmentRecord,
    HandlerJob,
    QueueRecord,
    attachment_key,
    queue_key,
)


def test_a_queue_of_an_earlier_version_has_no_handler() -> None:
    """It was stored without the last field."""
    stored = msgspec.msgpack.encode(["a1-1", 2.0, True])

    assert msgspec.msgpack.decode(stored, type=QueueRecord) == QueueRecord("a1-1", 2.0, True, "")


def test_keys_follow_the_account() -> None:
    """So no account reaches what another has."""
    assert queue_key("a1", "q") == "queues/a1/q"
    assert attachment_key("a1", "q") == "attachments/a1/q"
    assert AttachmentRecord.prefix == "attachments/"
    assert HandlerJob(3).jid == 0
