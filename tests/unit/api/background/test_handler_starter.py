"""The handler starter: jobs start for what was pushed, and for what waits without a push."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from msgspec.structs import replace
from picloud_api.background.handler_starter import LIST_EVERY
from picloud_model.wire.attachment import AttachRequest
from picloud_model.wire.queue import PushRequest, QueueMessage

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def attach(api: ApiHarness, name: str) -> None:
    """Attach a handler to a new queue."""
    await api.use_cases.queues.queues.create(ACCOUNT, name)
    request = AttachRequest(queue=name, job=replace(api.request(1), kind="call"))
    await api.use_cases.queues.attachments.attach(ACCOUNT, request)


async def push(api: ApiHarness, name: str, delay_s: float = 0.0) -> None:
    """Push a message."""
    request = PushRequest(
        name=name,
        push_id=uuid.uuid4().hex,
        messages=[QueueMessage(json="1")],
        delay_s=delay_s,
    )
    await api.use_cases.queues.queues.push(ACCOUNT, request)


async def jids(api: ApiHarness, name: str) -> list[int]:
    """Return the unfinished jobs of a handler."""
    return (await api.use_cases.queues.attachments.info(ACCOUNT, name)).jids


async def test_a_push_starts_a_job(api: ApiHarness) -> None:
    """Also in a process that does not lead; a queue without a handler wakes nothing."""
    starter = api.server.background.handler_starter
    await attach(api, "q")
    await starter.start_for_pushed()
    assert await jids(api, "q") == []
    await api.use_cases.queues.queues.create(ACCOUNT, "plain")
    await push(api, "plain")
    waiting = asyncio.create_task(starter.start_for_pushed())
    await asyncio.sleep(0)
    assert not waiting.done()

    await push(api, "q")
    await asyncio.wait_for(waiting, 10)

    assert await jids(api, "q") == [1]


async def test_the_leader_looks_at_all_queues(api: ApiHarness) -> None:
    """Delayed messages start a job when they can be taken."""
    starter = api.server.background.handler_starter
    await attach(api, "q")
    await push(api, "q", delay_s=60)
    await starter.start_if_leader()
    assert await jids(api, "q") == []
    api.now += 61

    api.server.background.autoscaler.is_leader = False
    await starter.start_if_leader()
    assert await jids(api, "q") == []
    api.server.background.autoscaler.is_leader = True
    await starter.start_if_leader()

    assert await jids(api, "q") == [1]


async def test_one_queue_does_not_keep_others_from_starting(api: ApiHarness) -> None:
    """A failure is logged, and the next queue is looked at."""
    for name in ("a", "b"):
        await attach(api, name)
        await push(api, name)
    port = api.server.ports.queues
    record = await api.server.context.commits.view.get(f"queues/{ACCOUNT}/a")
    await port.delete(record.id)

    await api.server.background.handler_starter.start_if_leader()

    assert await jids(api, "b") == [1]


async def test_without_handlers_one_prefix_is_read_now_and_then(api: ApiHarness) -> None:
    """Every five seconds, and nothing else."""
    starter = api.server.background.handler_starter
    reads, scans = len(api.state.reads), len(api.state.scans)

    for _ in range(2 * LIST_EVERY):
        await starter.start_if_leader()

    assert len(api.state.reads) == reads
    assert api.state.scans[scans:] == ["attachments/"] * 2
