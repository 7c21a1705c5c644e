"""Checking messages: the digests of their blobs, or what is wrong with one."""

from __future__ import annotations

import pytest
from picloud_api.usecases.queues.queue_message import blobs_of
from picloud_model.errors import RequestRefused
from picloud_model.wire import Content
from picloud_model.wire.queue import QueueMessage


def test_blobs_are_listed() -> None:
    """In the order of the messages."""
    messages = [QueueMessage(json="1"), QueueMessage(blob=Content("d" * 64, 3))]

    assert blobs_of(messages) == ["d" * 64]


def test_a_bad_message_is_named() -> None:
    """By its position."""
    with pytest.raises(RequestRefused, match="The `json` of message 1 is not valid JSON"):
        blobs_of([QueueMessage(json="1"), QueueMessage(json="{")])
