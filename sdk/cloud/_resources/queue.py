"""Queues: messages that an account pushes and takes."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Final

from picloud_model.wire import LONGEST_POLL_S, Answer
from picloud_model.wire import queue as wire

from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloud._http.transport import Transport

NOT_FOUND: Final = "queue.not_found"
"""The code of the error that there is no such queue."""


class QueueClient:
    """Creates, lists and deletes queues; pushes, takes and acknowledges messages."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str) -> wire.QueueInfo:
        """Make a queue, unless there is one; return it."""
        body = wire.CreateQueueRequest(name=name)
        return self._transport.post("/v1/queues", body, wire.QueueInfo)

    def names(self) -> Sequence[str]:
        """Return the names of all queues, in order."""
        body = wire.QueuesRequest()
        return self._transport.post("/v1/queues/list", body, wire.QueuesListed).names

    def info(self, name: str) -> wire.QueueInfo:
        """Return how many messages a queue has.

        Raises:
            CloudException: When there is no such queue.
        """
        body = wire.QueueRequest(name=name)
        return self._transport.post("/v1/queues/info", body, wire.QueueInfo)

    def rates(self, *names: str) -> Sequence[wire.QueueRates]:
        """Return how fast messages come and go, in all queues or in those of some names."""
        body = wire.QueueRatesRequest(names=[*names])
        return self._transport.post("/v1/queues/rates", body, wire.QueueRatesListed).rates

    def exists(self, name: str) -> bool:
        """Whether there is a queue of that name."""
        try:
            self.info(name)
        except CloudException as error:
            if error.code != NOT_FOUND:
                raise
            return False
        return True

    def delete(self, name: str) -> None:
        """Remove a queue with its messages; a missing one is not an error."""
        self._transport.post("/v1/queues/delete", wire.QueueRequest(name=name), Answer)

    def purge(self, name: str) -> None:
        """Remove all messages of a queue."""
        self._transport.post("/v1/queues/purge", wire.QueueRequest(name=name), Answer)

    def push(self, name: str, messages: Sequence[wire.QueueMessage], delay_s: float) -> None:
        """Add messages, all or none."""
        body = wire.PushRequest(
            name=name, push_id=uuid.uuid4().hex, messages=list(messages), delay_s=delay_s
        )
        self._transport.post("/v1/queues/push", body, Answer)

    def take(
        self,
        name: str,
        max_count: int,
        timeout_s: float,
        deadline_s: float,
        *,
        attachment: str = "",
        jid: int = 0,
    ) -> wire.MessagesTaken:
        """Take messages; wait for the first, in as many requests as that takes.

        Raises:
            CloudException: When another handler than this `attachment` is attached, or its job
                `jid` is to end.
        """
        end = time.monotonic() + timeout_s
        while True:
            hold_s = max(0.0, min(LONGEST_POLL_S, end - time.monotonic()))
            body = wire.TakeRequest(
                name=name,
                max_count=max_count,
                timeout_s=hold_s,
                deadline_s=deadline_s,
                attachment=attachment,
                jid=jid,
            )
            taken = self._transport.poll("/v1/queues/take", body, wire.MessagesTaken, hold_s)
            if taken.messages or time.monotonic() >= end:
                return taken

    def acknowledge(self, name: str, tickets: Sequence[str]) -> set[int]:
        """Remove messages; return the positions of those that were given back before."""
        expired: set[int] = set()
        for start in range(0, len(tickets), wire.MAX_MESSAGES):
            body = wire.AcknowledgeRequest(
                name=name, tickets=list(tickets[start : start + wire.MAX_MESSAGES])
            )
            checked = self._transport.post("/v1/queues/ack", body, wire.TicketsChecked)
            expired |= {start + position for position in checked.expired}
        return expired

    def extend(
        self, name: str, tickets: Sequence[str], deadline_s: float, *, failed: bool = False
    ) -> set[int]:
        """Set new deadlines; return the positions of messages that were given back before."""
        expired: set[int] = set()
        for start in range(0, len(tickets), wire.MAX_MESSAGES):
            body = wire.ExtendRequest(
                name=name,
                tickets=list(tickets[start : start + wire.MAX_MESSAGES]),
                deadline_s=deadline_s,
                failed=failed,
            )
            checked = self._transport.post("/v1/queues/extend", body, wire.TicketsChecked)
            expired |= {start + position for position in checked.expired}
        return expired
