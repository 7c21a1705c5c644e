"""Messages of queues of errors: each is put back into the queue in which it failed."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from picloud_model.wire.attachment import HandledRequest, HandlerOutput
from picloud_model.wire.queue import MAX_MESSAGES

from cloud._client.queue_messages import packed, unpacked
from cloud._resources.attachment import AttachmentClient
from cloud._resources.queue import QueueClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from cloud._client.client import Client

_DEADLINE_S = 60.0


def retry(client: Client, queue: str, encoding: str) -> int:
    """Put each message of a queue of errors back; return how many these were."""
    count, queues = 0, QueueClient(client.transport)
    while taken := queues.take(queue, MAX_MESSAGES, 0.0, _DEADLINE_S).messages:
        tickets = [each.ticket for each in taken]
        try:
            failed = unpacked(client, [each.message for each in taken])
            by_queue: dict[str, list[Any]] = {}
            for each in failed:
                name, message = _origin(queue, each)
                by_queue.setdefault(name, []).append(message)
        except CloudException:
            queues.extend(queue, tickets, 0)
            raise
        request = HandledRequest(
            queue=queue,
            attachment=uuid.uuid4().hex,
            tickets=tickets,
            outputs=[
                HandlerOutput(queue=name, messages=packed(client, messages, encoding))
                for name, messages in by_queue.items()
            ],
        )
        count += len(tickets) if not AttachmentClient(client.transport).handled(request) else 0
    return count


def _origin(queue: str, failed: Any) -> tuple[str, Any]:
    """Return the queue in which a message failed, and the message."""
    if isinstance(failed, dict) and isinstance(failed.get("queue"), str) and "message" in failed:
        return failed["queue"], failed["message"]
    raise CloudException(
        f"The queue {queue!r} has a message that no handler has pushed after a failure: "
        f"{failed!r:.80}."
    )
