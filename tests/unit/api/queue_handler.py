"""A handler of the queue `in`, and what is done with the messages of that queue."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_model.wire.attachment import AttachRequest, HandledRequest, HandlerOutput
from picloud_model.wire.queue import PushRequest, QueueMessage, TakenMessage, TakeRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from picloud_model import wire
    from picloud_model.wire.attachment import AttachmentInfo

    from tests.unit.api.api_harness import ApiHarness


def job(api: ApiHarness) -> wire.SubmitRequest:
    """Return what a job of a handler runs."""
    return replace(api.request(1, function="handler"), kind="call")


async def attach(api: ApiHarness, **changed: Any) -> AttachmentInfo:
    """Attach a handler."""
    request = AttachRequest(queue="in", job=job(api), outputs=["out"], **changed)
    return await api.use_cases.queues.attachments.attach(ACCOUNT, request)


async def push(api: ApiHarness, count: int) -> None:
    """Push numbers."""
    messages = [QueueMessage(json=str(number)) for number in range(count)]
    request = PushRequest(name="in", push_id=uuid.uuid4().hex, messages=messages)
    await api.use_cases.queues.queues.push(ACCOUNT, request)


async def take(api: ApiHarness, **changed: Any) -> list[TakenMessage]:
    """Take messages."""
    request = TakeRequest(name="in", **changed)
    return (await api.use_cases.queues.queues.take(ACCOUNT, request)).messages


async def handled(
    api: ApiHarness, attached: AttachmentInfo, taken: list[TakenMessage], *pushed: QueueMessage
) -> list[int]:
    """Push messages for those that were taken; return the positions that are not valid."""
    outputs = [HandlerOutput(queue="out", messages=[*pushed])] if pushed else []
    request = HandledRequest(
        queue="in",
        attachment=attached.id,
        tickets=[each.ticket for each in taken],
        outputs=outputs,
    )
    return (await api.use_cases.queues.handled.exchange(ACCOUNT, request)).expired
