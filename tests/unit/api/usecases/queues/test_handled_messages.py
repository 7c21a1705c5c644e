"""What handlers made of messages is pushed once, and these messages are removed."""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
import pytest
from msgspec.structs import replace
from picloud_api.store.queue_record import QueueRecord, attachment_key, queue_key
from picloud_api.usecases.queues.output_ids import output_ids
from picloud_model.errors import BlobMissing, QueueNotFound, RequestRefused
from picloud_model.wire import Content
from picloud_model.wire.attachment import HandledRequest, HandlerOutput
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    PushRequest,
    QueueMessage,
    TakenMessage,
    TakeRequest,
)

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.queue_handler import handled, push, take

if TYPE_CHECKING:
    from picloud_model.wire.attachment import AttachmentInfo

    from tests.unit.api.api_harness import ApiHarness


async def ready(api: ApiHarness, name: str) -> int:
    """Return how many messages of a queue are left."""
    info = await api.use_cases.queues.queues.info(ACCOUNT, name)
    return info.ready + info.in_flight


async def test_outputs_are_pushed_once(api: ApiHarness, attached: AttachmentInfo) -> None:
    """If the same request comes twice, and if the messages are handled twice."""
    await push(api, 2)
    taken = await take(api, deadline_s=3)
    key = attachment_key(ACCOUNT, "in")

    assert await handled(api, attached, taken, QueueMessage(json="1")) == []
    assert await handled(api, attached, taken, QueueMessage(json="1")) == [0, 1]
    assert (await ready(api, "in"), await ready(api, "out")) == (0, 1)
    assert await api.server.context.commits.view.get(key) is not None


async def test_outputs_with_sources_are_pushed_once_in_any_group(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """The server was killed after it had pushed: the messages are handled again, one by one."""
    made = [QueueMessage(json="1"), QueueMessage(json="2")]
    await push(api, 2)
    taken = await take(api, deadline_s=3)
    output = HandlerOutput(queue="out", messages=made, sources=[0, 1])
    request = HandledRequest("in", attached.id, [each.ticket for each in taken], [output])
    record: QueueRecord = await api.server.context.commits.view.get(queue_key(ACCOUNT, "in"))
    (ids,) = output_ids(request, record.id, [1, 2])
    out: QueueRecord = await api.server.context.commits.view.get(queue_key(ACCOUNT, "out"))
    bodies = [msgspec.msgpack.encode(message) for message in made]
    await api.server.ports.queues.push(out.id, uuid.uuid4().hex, bodies, ids=ids)
    api.now += 4

    for message in made:
        again = await take(api, max_count=1)
        output = HandlerOutput(queue="out", messages=[message], sources=[0])
        request = HandledRequest("in", attached.id, [again[0].ticket], [output])
        assert not (await api.use_cases.queues.handled.exchange(ACCOUNT, request)).expired

    assert (await ready(api, "in"), await ready(api, "out")) == (0, 2)


async def test_what_another_handler_has_is_not_pushed(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """Nothing of the request is done, and the reply has the positions."""
    await push(api, 1)
    late = await take(api, deadline_s=3)
    api.now += 4
    now = await take(api)
    await push(api, 1)
    both = [*late, *await take(api)]

    assert await handled(api, attached, both, QueueMessage(json="1")) == [0]
    assert (await ready(api, "in"), await ready(api, "out")) == (2, 0)
    assert await handled(api, attached, [*now, both[1]], QueueMessage(json="1")) == []
    assert (await ready(api, "in"), await ready(api, "out")) == (0, 1)


async def test_foreign_tickets_and_missing_blobs_are_refused(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """Nothing is pushed or removed."""
    await push(api, 1)
    taken = await take(api)
    forged = TakenMessage("A" * 40, QueueMessage(json="1"), 0.0)
    with pytest.raises(RequestRefused, match="Ticket 1 was not given out"):
        await handled(api, attached, [*taken, forged], QueueMessage(json="1"))
    with pytest.raises(BlobMissing):
        await handled(api, attached, taken, QueueMessage(blob=Content("0" * 64, 1)))

    assert (await ready(api, "in"), await ready(api, "out")) == (1, 0)


async def test_the_blob_of_a_message_that_is_pushed_again_is_kept(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """It is deleted with its last message."""
    data = b"large"
    content = Content(sha256(data).hexdigest(), len(data))
    await api.use_cases.storage.blobs.store(ACCOUNT, [data])
    request = PushRequest(
        name="in", push_id=uuid.uuid4().hex, messages=[QueueMessage(blob=content)]
    )
    await api.use_cases.queues.queues.push(ACCOUNT, request)
    taken = await take(api)

    assert await handled(api, attached, taken, replace(taken[0].message, retries=1)) == []
    await api.use_cases.storage.blobs.get(ACCOUNT, content.digest)
    (again,) = (await api.use_cases.queues.queues.take(ACCOUNT, TakeRequest(name="out"))).messages
    assert again.message.retries == 1
    await api.use_cases.queues.queues.acknowledge(
        ACCOUNT, AcknowledgeRequest(name="out", tickets=[again.ticket])
    )
    with pytest.raises(BlobMissing):
        await api.use_cases.storage.blobs.get(ACCOUNT, content.digest)


async def test_what_is_handled_without_outputs_is_removed_alone(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """Messages that another handler has stay; the others of the request are removed."""
    await push(api, 1)
    late = await take(api, deadline_s=3)
    api.now += 4
    assert await take(api)
    await push(api, 1)

    assert await handled(api, attached, [*late, *await take(api)]) == [0]
    assert (await ready(api, "in"), await ready(api, "out")) == (1, 0)


async def test_a_deleted_output_queue_is_named(api: ApiHarness, attached: AttachmentInfo) -> None:
    """Nothing is removed; once it is made again, the messages are pushed into the new one."""
    await push(api, 1)
    taken = await take(api)
    await api.use_cases.queues.queues.delete(ACCOUNT, "out")
    with pytest.raises(QueueNotFound, match="no queue 'out' in your account"):
        await handled(api, attached, taken, QueueMessage(json="1"))
    assert await ready(api, "in") == 1
    await api.use_cases.queues.queues.create(ACCOUNT, "out")

    assert await handled(api, attached, taken, QueueMessage(json="1")) == []
    assert (await ready(api, "in"), await ready(api, "out")) == (0, 1)
