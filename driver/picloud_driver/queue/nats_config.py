"""The settings of a queue's stream on NATS, and of the consumer of its owner."""

from __future__ import annotations

from typing import Any, Final

from picloud_driver.queue.nats_subject import subject_of
from picloud_driver.queue.port import REMEMBERED_S

_NS: Final = 1_000_000_000
_ACK_WAIT_NS: Final = 366 * 24 * 3600 * _NS
"""Longer than any deadline: those are the owner's business."""


def stream_config(queue: str, replicas: int = 1) -> dict[str, Any]:
    """Return the settings of a queue's stream, which so many servers store."""
    return {
        "name": queue,
        "subjects": [f"picloud.queue.{queue}.>"],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": replicas,
        "allow_atomic": True,
        "allow_msg_schedules": True,
        "allow_msg_ttl": True,
        "duplicate_window": int(REMEMBERED_S * _NS),
    }


def consumer_config(queue: str, name: str) -> dict[str, Any]:
    """Return the request that makes a consumer."""
    return {
        "stream_name": queue,
        "action": "create",
        "config": {
            "durable_name": name,
            "name": name,
            "filter_subject": subject_of(queue),
            "ack_policy": "explicit",
            "ack_wait": _ACK_WAIT_NS,
            "max_ack_pending": -1,
            "deliver_policy": "all",
            "max_deliver": -1,
            "replay_policy": "instant",
        },
    }
