"""The subjects of a queue's messages on NATS, and what the subject of an acknowledgement says."""

from __future__ import annotations

from typing import Final

_PARTS: Final = 9
"""Parts of the subject of an acknowledgement; two more come before them in some set-ups."""


def subject_of(queue: str) -> str:
    """Return the subject of the messages of a queue that are not delayed."""
    return f"picloud.queue.{queue}.m"


def delayed_of(queue: str) -> str:
    """Return what the subjects of messages with a delay begin with."""
    return f"picloud.queue.{queue}.d."


def ids_of(queue: str) -> str:
    """Return what the subjects of ids begin with."""
    return f"picloud.queue.{queue}.i."


def numbers_of(reply: str) -> tuple[int, float, int]:
    """Return a message's number, when it was stored, and how many come after it.

    >>> numbers_of("$JS.ACK.queue.consumer.1.7.9.1700000000500000000.3")
    (7, 1700000000.5, 3)
    """
    parts = reply.split(".")
    first = 0 if len(parts) == _PARTS else 2
    return int(parts[first + 5]), int(parts[first + 7]) / 1e9, int(parts[first + 8])
