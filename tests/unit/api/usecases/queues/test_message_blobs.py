"""Messages in blobs: kept as long as their message, and no longer."""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from picloud_api.usecases.queues.message_blobs import MessageBlobs
from picloud_model.errors import BlobMissing
from picloud_model.wire import Content
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    MessagesTaken,
    PushRequest,
    QueueMessage,
    TakeRequest,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from tests.unit.api.api_harness import ApiHarness


async def push(api: ApiHarness, *messages: QueueMessage) -> None:
    """Push messages into the queue `q`."""
    request = PushRequest(name="q", push_id=uuid.uuid4().hex, messages=[*messages])
    await api.use_cases.queues.queues.push(ACCOUNT, request)


async def take(api: ApiHarness, **changed: Any) -> MessagesTaken:
    """Take messages from the queue `q`."""
    return await api.use_cases.queues.queues.take(ACCOUNT, TakeRequest(name="q", **changed))


async def sweep(api: ApiHarness) -> int:
    """Sweep on three days; return how many blobs were deleted."""
    count = 0
    for _ in range(3):
        api.now += 86_400
        count += await api.use_cases.storage.sweep.sweep(ACCOUNT, 86_400, lambda: True)
    return count


async def test_the_blob_of_a_message_is_not_swept(api: ApiHarness) -> None:
    """However long the message waits, or is taken; what no message names is swept meanwhile."""
    data = [b"message", b"left"]
    digest = sha256(data[0]).hexdigest()
    blobs, queues = api.use_cases.storage.blobs, api.use_cases.queues.queues
    await blobs.store(ACCOUNT, data)
    await queues.create(ACCOUNT, "q")
    await push(api, QueueMessage(json="{}"), QueueMessage(blob=Content(digest, len(data[0]))))

    assert await sweep(api) == 1
    await blobs.get(ACCOUNT, digest)
    taken = (await take(api)).messages
    assert Content(digest, len(data[0])) in [each.message.blob for each in taken]
    assert await sweep(api) == 0
    await queues.delete(ACCOUNT, "q")
    await blobs.store(ACCOUNT, data)
    assert await sweep(api) == 2


async def test_any_blob_may_be_named_while_a_queue_has_too_many_messages(api: ApiHarness) -> None:
    """They would take long to read. Queues without messages in blobs are never read."""
    digest = sha256(b"message").hexdigest()
    ports = api.server.ports
    await api.use_cases.storage.blobs.store(ACCOUNT, [b"message"])
    await api.use_cases.queues.queues.create(ACCOUNT, "q")

    async def named(most_read: int) -> AbstractSet[str]:
        found = MessageBlobs(api.server.context, ports.queues, ports.blobs, most_read)
        return await found.named(ACCOUNT, {digest, "other"})

    await push(api, QueueMessage(json="1"))
    assert await named(0) == set()
    await push(api, QueueMessage(blob=Content(digest, 7)))

    assert await named(1) == {digest, "other"}
    assert await named(2) == {digest}


async def test_the_blob_of_a_message_is_deleted_with_it(api: ApiHarness) -> None:
    """Whether it was acknowledged or purged; a push without its blob is refused."""
    queues, blobs = api.use_cases.queues.queues, api.use_cases.storage.blobs
    await queues.create(ACCOUNT, "q")
    data = [b"one", b"two"]
    contents = [Content(sha256(each).hexdigest(), len(each)) for each in data]
    with pytest.raises(BlobMissing):
        await push(api, QueueMessage(blob=contents[0]))
    await blobs.store(ACCOUNT, data)
    await push(api, *(QueueMessage(blob=content) for content in contents))

    (taken,) = (await take(api, max_count=1)).messages
    await queues.acknowledge(ACCOUNT, AcknowledgeRequest(name="q", tickets=[taken.ticket]))
    assert taken.message.blob is not None
    gone = [content for content in contents if content.digest == taken.message.blob.digest]
    (kept,) = (content for content in contents if content not in gone)
    with pytest.raises(BlobMissing):
        await blobs.get(ACCOUNT, gone[0].digest)
    await blobs.get(ACCOUNT, kept.digest)
    await queues.purge(ACCOUNT, "q")

    with pytest.raises(BlobMissing):
        await blobs.get(ACCOUNT, kept.digest)
