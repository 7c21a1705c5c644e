"""Attachments: jobs of a handler start when messages wait, and what they made is pushed once."""

from __future__ import annotations

import asyncio
import uuid
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_api.store.queue_record import HandlerJob, QueueRecord, attachment_key, queue_key
from picloud_api.usecases.queues.output_ids import output_ids
from picloud_model.errors import (
    AttachmentNotFound,
    BlobMissing,
    HandlerReplaced,
    QueueNotFound,
    RequestRefused,
)
from picloud_model.job import State
from picloud_model.wire import AttemptRef, Content, HeartbeatRequest, ListRequest
from picloud_model.wire.attachment import (
    AttachRequest,
    HandledRequest,
    HandlerOutput,
    UpdateAttachmentRequest,
)
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    PushRequest,
    QueueMessage,
    TakenMessage,
    TakeRequest,
)

from tests.unit.api.api_harness import ACCOUNT, report_of

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_model import wire
    from picloud_model.wire.attachment import AttachmentInfo

    from tests.unit.api.api_harness import ApiHarness


def job(api: ApiHarness) -> wire.SubmitRequest:
    """Return what a job of a handler runs."""
    return replace(api.request(1, function="handler"), kind="call")


@pytest.fixture
async def attached(api: ApiHarness) -> AttachmentInfo:
    """A handler of the queue `in` that pushes into `out`, in up to three jobs."""
    for name in ("in", "out"):
        await api.use_cases.queues.queues.create(ACCOUNT, name)
    return await attach(api, max_parallel_jobs=3)


async def attach(api: ApiHarness, **changed: Any) -> AttachmentInfo:
    """Attach a handler."""
    request = AttachRequest(queue="in", job=job(api), outputs=["out"], **changed)
    return await api.use_cases.queues.attachments.attach(ACCOUNT, request)


async def push(api: ApiHarness, count: int) -> None:
    """Push numbers."""
    messages = [QueueMessage(json=str(number)) for number in range(count)]
    request = PushRequest(name="in", push_id=uuid.uuid4().hex, messages=messages)
    await api.use_cases.queues.queues.push(ACCOUNT, request)


async def start(api: ApiHarness, *, grow: bool = True) -> list[int]:
    """Let the server look at the queue; return the unfinished jobs of its handler."""
    await api.use_cases.queues.attachments.start_jobs(ACCOUNT, "in", grow=grow)
    return (await api.use_cases.queues.attachments.info(ACCOUNT, "in")).jids


async def take(api: ApiHarness, **changed: Any) -> list[TakenMessage]:
    """Take messages."""
    request = TakeRequest(name="in", **changed)
    return (await api.use_cases.queues.queues.take(ACCOUNT, request)).messages


async def begin(api: ApiHarness) -> tuple[SlotSession, wire.Lease]:
    """Let a new slot start the next job; return both."""
    slot = await api.slot()
    (lease,) = (await api.work(slot)).leases
    (leased,) = lease.jobs
    running = [AttemptRef(lease.batch, leased.index, leased.attempt)]
    await api.use_cases.slots.heartbeat.heartbeat(slot, HeartbeatRequest(running=running, wait_s=0))
    return slot, lease


async def test_a_job_starts_when_messages_wait(api: ApiHarness, attached: AttachmentInfo) -> None:
    """One, however often the server looks; none while there are no messages."""
    assert attached.jids == await start(api) == []
    await push(api, 5)

    assert await start(api) == await start(api) == [1]
    listed = await api.use_cases.jobs.listing.list(ACCOUNT, ListRequest())
    assert [row.function_name for row in listed.jobs] == ["handler"]


async def test_more_jobs_start_while_messages_wait(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """Twice as many once all run, up to the limit; only the regular look does that."""
    await push(api, 5)
    await start(api)
    await begin(api)

    assert await start(api, grow=False) == [1]
    assert await start(api) == await start(api) == [1, 2]
    await begin(api)
    assert await start(api) == [1, 2, 3]
    await begin(api)
    assert await start(api) == [1, 2, 3]
    assert attached.max_parallel_jobs == 3


async def test_a_job_that_ended_is_replaced(api: ApiHarness, attached: AttachmentInfo) -> None:
    """At once if it was done; after a pause, which grows, if it failed."""
    await push(api, 1)
    await start(api)
    slot, lease = await begin(api)
    await api.work(slot, reports=[report_of(lease)], lease=False)
    assert await start(api) == [2]

    pauses = []
    for _ in range(2):
        (lease,) = (await api.work(slot)).leases
        await api.work(slot, reports=[report_of(lease, State.ERROR)], lease=False)
        began = api.now
        while not await start(api):
            api.now += 1
        pauses.append(api.now - began)

    assert pauses == [2, 4]
    assert attached.queue == "in"


async def test_a_job_is_submitted_once(api: ApiHarness, attached: AttachmentInfo) -> None:
    """A crash between the decision and the submit, or after it, is made up for by the next look."""
    await push(api, 1)
    await start(api)
    key = attachment_key(ACCOUNT, "in")

    async def forget(draft: Any) -> None:
        record = await draft.get(key)
        draft.put(key, replace(record, jobs=(HandlerJob(1),)))

    await api.server.context.commits.run(forget)

    assert await start(api) == [1]
    assert attached.id


async def test_only_the_handler_that_is_attached_takes_messages(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """After another one is attached, and after it is detached."""
    await push(api, 2)
    assert len(await take(api, attachment=attached.id, max_count=1)) == 1
    other = await attach(api)
    with pytest.raises(HandlerReplaced):
        await take(api, attachment=attached.id)
    assert len(await take(api, attachment=other.id)) == 1
    for _ in range(2):
        await api.use_cases.queues.attachments.detach(ACCOUNT, "in")
    with pytest.raises(HandlerReplaced):
        await take(api, attachment=other.id)
    with pytest.raises(AttachmentNotFound, match="No handler is attached to the queue 'in'"):
        await api.use_cases.queues.attachments.info(ACCOUNT, "in")


async def test_a_handler_that_is_replaced_while_it_waits_takes_nothing(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """What is pushed then is for the new one."""
    waiting = asyncio.create_task(take(api, attachment=attached.id, timeout_s=30))
    await asyncio.sleep(0)
    other = await attach(api)
    await push(api, 3)

    with pytest.raises(HandlerReplaced):
        await asyncio.wait_for(waiting, 10)
    assert len(await take(api, attachment=other.id)) == 3


async def update(api: ApiHarness, **changed: Any) -> AttachmentInfo:
    """Change the handler."""
    request = UpdateAttachmentRequest(queue="in", **changed)
    return await api.use_cases.queues.attachments.update(ACCOUNT, request)


async def test_a_handler_that_is_paused_receives_nothing(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """Nor does a job start for it, until it goes on; others may take messages meanwhile."""
    assert (await update(api, paused=True)).paused
    await push(api, 3)
    assert await start(api) == []
    assert await take(api, attachment=attached.id) == []
    assert len(await take(api, max_count=1)) == 1
    other = await attach(api)
    assert await take(api, attachment=other.id) == []

    assert not (await update(api, paused=False)).paused

    assert await start(api) == [1]
    assert len(await take(api, attachment=other.id)) == 2


async def test_a_handler_that_is_paused_while_it_waits_receives_nothing(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """What is pushed then stays ready; a new handler is not paused once it was detached."""
    waiting = asyncio.create_task(take(api, attachment=attached.id, timeout_s=1.5))
    await asyncio.sleep(0)
    await update(api, paused=True)
    await push(api, 1)

    assert await asyncio.wait_for(waiting, 30) == []
    assert (await api.use_cases.queues.queues.info(ACCOUNT, "in")).ready == 1
    await api.use_cases.queues.attachments.detach(ACCOUNT, "in")
    assert not (await attach(api)).paused


async def test_fewer_jobs_are_allowed_while_several_run(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """The newest of them end with their next request; the rest receive messages as before."""
    await push(api, 5)
    for expected in ([1], [1, 2], [1, 2, 3]):
        assert await start(api) == expected
        await begin(api)

    assert (await update(api, max_parallel_jobs=1)).max_parallel_jobs == 1

    for jid in (2, 3):
        with pytest.raises(HandlerReplaced):
            await take(api, attachment=attached.id, jid=jid)
    assert len(await take(api, attachment=attached.id, jid=1)) == 5
    assert await start(api) == [1, 2, 3]


async def test_a_handler_without_messages_makes_room_for_other_jobs(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """After a second; while it has messages it stays."""
    await push(api, 1)
    await start(api)
    await begin(api)
    await api.submit(1)
    taken = await take(api, attachment=attached.id, jid=1, timeout_s=5)
    assert await take(api, attachment=attached.id, jid=1, timeout_s=1.5) == []
    assert await handled(api, attached, taken) == []

    with pytest.raises(HandlerReplaced):
        await asyncio.wait_for(take(api, attachment=attached.id, jid=1, timeout_s=20), 15)


async def test_what_is_not_attached_cannot_be_changed(api: ApiHarness) -> None:
    """Neither in a queue without a handler nor in one that does not exist."""
    await api.use_cases.queues.queues.create(ACCOUNT, "in")
    with pytest.raises(AttachmentNotFound, match="No handler is attached to the queue 'in'"):
        await update(api, paused=True)


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
    return (await api.use_cases.queues.attachments.handled(ACCOUNT, request)).expired


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
    pushed = PushRequest(name="out", push_id=uuid.uuid4().hex, messages=made)
    await api.use_cases.queues.queues.push(ACCOUNT, pushed, ids)
    api.now += 4

    for message in made:
        again = await take(api, max_count=1)
        output = HandlerOutput(queue="out", messages=[message], sources=[0])
        request = HandledRequest("in", attached.id, [again[0].ticket], [output])
        assert not (await api.use_cases.queues.attachments.handled(ACCOUNT, request)).expired

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


async def test_a_queue_with_a_handler_is_not_deleted(
    api: ApiHarness, attached: AttachmentInfo
) -> None:
    """It has to be detached first."""
    with pytest.raises(RequestRefused, match="attached to the queue 'in'; detach it first"):
        await api.use_cases.queues.queues.delete(ACCOUNT, "in")

    await api.use_cases.queues.attachments.detach(ACCOUNT, "in")
    await api.use_cases.queues.queues.delete(ACCOUNT, "in")
    assert (await api.use_cases.queues.queues.list(ACCOUNT)).names == ["out"]
    assert (await api.use_cases.queues.attachments.list(ACCOUNT)).attachments == []
    assert attached.id


async def test_bad_handlers_are_refused(api: ApiHarness) -> None:
    """Before anything is stored."""
    for name in ("in", "out"):
        await api.use_cases.queues.queues.create(ACCOUNT, name)
    good = AttachRequest(queue="in", job=job(api), outputs=["out"])
    large = Content("0" * 64, 200_000, bytes(200_000))
    for request, error in (
        (replace(good, queue="no"), QueueNotFound),
        (replace(good, outputs=["no"]), QueueNotFound),
        (replace(good, errors=["no"]), QueueNotFound),
        (replace(good, job=replace(good.job, kind="map")), RequestRefused),
        (replace(good, job=replace(good.job, depends_on=[(1, 1)])), RequestRefused),
        (replace(good, job=replace(good.job, function=large)), RequestRefused),
        (replace(good, job=replace(good.job, function=Content("0" * 64, 9))), BlobMissing),
    ):
        with pytest.raises(error):
            await api.use_cases.queues.attachments.attach(ACCOUNT, request)

    assert await api.use_cases.queues.attachments.all() == set()


async def test_the_blobs_of_a_handler_are_not_swept(api: ApiHarness) -> None:
    """However long it is attached; afterwards they are."""
    for name in ("in", "out"):
        await api.use_cases.queues.queues.create(ACCOUNT, name)
    data = b"function"
    content = Content(sha256(data).hexdigest(), len(data))
    await api.use_cases.storage.blobs.store(ACCOUNT, [data])
    request = AttachRequest(queue="in", job=replace(job(api), function=content))
    await api.use_cases.queues.attachments.attach(ACCOUNT, request)

    async def sweep() -> int:
        count = 0
        for _ in range(3):
            api.now += 86_400
            count += await api.use_cases.storage.sweep.sweep(ACCOUNT, 86_400, lambda: True)
        return count

    assert await sweep() == 0
    await api.use_cases.queues.attachments.detach(ACCOUNT, "in")
    assert await sweep() == 1
