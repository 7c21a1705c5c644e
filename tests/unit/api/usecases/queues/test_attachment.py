"""Attachments: jobs of a handler start when messages wait, and what they made is pushed once."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from picloud_api.store.commits import Commits
from picloud_api.store.queue_record import HandlerJob, attachment_key, queue_key
from picloud_api.store.view import View
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
    UpdateAttachmentRequest,
)

from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.queue_handler import attach, handled, job, push, take
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.store.draft import Draft
    from picloud_model import wire
    from picloud_model.wire.attachment import AttachmentInfo

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi


async def start(api: ApiHarness, *, grow: bool = True) -> list[int]:
    """Let the server look at the queue; return the unfinished jobs of its handler."""
    await api.use_cases.queues.attachments.start_jobs(ACCOUNT, "in", grow=grow)
    return (await api.use_cases.queues.attachments.info(ACCOUNT, "in")).jids


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


async def test_what_another_process_pauses_is_paused_a_moment_later(start_api: StartApi) -> None:
    """The record is read once for all messages that a handler receives within that moment."""
    api = await start_api(SharedRecordingState)
    for name in ("in", "out"):
        await api.use_cases.queues.queues.create(ACCOUNT, name)
    attachment = (await attach(api)).id
    await push(api, 4)
    key = queue_key(ACCOUNT, "in")
    await take(api, attachment=attachment, max_count=1)
    api.state.reads.clear()

    for _ in range(2):
        assert len(await take(api, attachment=attachment, max_count=1)) == 1
    assert [key] not in api.state.reads

    elsewhere = Commits(View(api.state), "two")

    async def pause(draft: Draft) -> None:
        draft.put(key, replace(await draft.fresh(key), paused=True))

    await elsewhere.run(pause)
    api.now += 0.1
    assert await take(api, attachment=attachment) == []
    assert [key] in api.state.reads


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
