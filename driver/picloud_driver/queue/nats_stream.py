"""The streams of queues on NATS: settings, requests, and how many messages they have."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

from picloud_model.errors import QueueNotFound

from picloud_driver.nats import api_refusal
from picloud_driver.nats.api_refusal import ApiRefusal
from picloud_driver.queue.nats_subject import delayed_of, ids_of, subject_of
from picloud_driver.queue.port import REMEMBERED_S, QueueCounts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from picloud_driver.nats.gateway import NatsGateway
    from picloud_driver.queue.nats_consumer import QueueConsumer

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


def consumer_config(queue: str, name: str, replicas: int = 1) -> dict[str, Any]:
    """Return the request that makes a consumer of a stream, which so many servers store.

    A server that is alone keeps in memory what the consumer has delivered, which it would write to
    the disk more often than messages: after its restart a new consumer is made anyway.
    """
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
            "mem_storage": replicas == 1,
        },
    }


class QueueStreams:
    """Requests to JetStream about the streams of queues."""

    def __init__(self, gateway: NatsGateway) -> None:
        self._gateway = gateway

    async def counts(self, queue: str, consumer: QueueConsumer) -> QueueCounts:
        """Return how many messages a queue has, of which the consumer knows those in flight."""
        state = await self.info(queue)
        present = state.get("subjects", {}).get(subject_of(queue), 0)
        delayed = state["messages"] - present
        if delayed and await self._has_ids(queue):
            # Delayed messages have to be listed, as the server does not count them apart from ids.
            subjects = {"subjects_filter": f"{delayed_of(queue)}>"}
            info = await self.api(f"STREAM.INFO.{queue}", subjects)
            delayed = sum(info["state"].get("subjects", {}).values())
        in_flight = min(present, consumer.in_flight)
        ready = present - in_flight
        first = {"seq": consumer.first_ready, "next_by_subj": subject_of(queue)}
        message = await self.message(queue, first) if ready else None
        oldest_at = dt.datetime.fromisoformat(message["time"]).timestamp() if message else 0.0
        return QueueCounts(ready, delayed, in_flight, oldest_at)

    async def _has_ids(self, queue: str) -> bool:
        ids = {"seq": 1, "next_by_subj": f"{ids_of(queue)}>"}
        return await self.message(queue, ids) is not None

    async def message(self, queue: str, which: dict[str, Any]) -> dict[str, Any] | None:
        """Return a message of a queue's stream; None if there is no such message."""
        try:
            found = await self._gateway.api(f"STREAM.MSG.GET.{queue}", which)
        except ApiRefusal as refusal:
            if refusal.code == api_refusal.NO_MESSAGE:
                return None
            raise self.error(refusal) from refusal
        message: dict[str, Any] = found["message"]
        return message

    async def bodies(self, queue: str) -> AsyncIterator[bytes]:
        """Yield all messages of a queue.

        Delayed ones come first: a message whose delay ends meanwhile is stored anew, as the last
        one of the others.
        """
        for subject in (f"{delayed_of(queue)}>", subject_of(queue)):
            which = {"seq": 1, "next_by_subj": subject}
            while message := await self.message(queue, which):
                yield base64.b64decode(message.get("data", ""))
                which["seq"] = message["seq"] + 1

    async def info(self, queue: str) -> dict[str, Any]:
        """Return the state of a queue's stream.

        Raises:
            QueueNotFound: When there is none.
        """
        info = await self.api(f"STREAM.INFO.{queue}", {"subjects_filter": subject_of(queue)})
        state: dict[str, Any] = info["state"]
        return state

    async def api(self, operation: str, body: Any = None) -> dict[str, Any]:
        """Send a request of JetStream's interface and return its answer.

        Raises:
            ApiRefusal: When a queue has a consumer already.
            QueueNotFound: When it has no stream.
            Unavailable: When JetStream refuses it for another reason, or does not answer.
        """
        try:
            return await self._gateway.api(operation, body)
        except ApiRefusal as refusal:
            if refusal.code == api_refusal.IN_USE:
                raise
            raise self.error(refusal) from refusal

    def error(self, refusal: ApiRefusal) -> Exception:
        """Return the error of the platform for a refusal."""
        if refusal.code == api_refusal.NO_STREAM:
            return QueueNotFound()
        return self._gateway.refusal(refusal, refusal.code)
