"""Queues: named by each account for itself, over a port that never uses a name twice."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from picloud_model.errors import QueueNotFound, RequestRefused
from picloud_model.wire.queue import (
    MAX_QUEUES,
    AcknowledgeRequest,
    ExtendRequest,
    MessagesTaken,
    PushRequest,
    QueueMessage,
    TakeRequest,
)

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_api.usecases.queues.queue import Queues

    from tests.unit.api.api_harness import ApiHarness

OTHER = "a0000002"


async def push(api: ApiHarness, *messages: QueueMessage, account: str = ACCOUNT) -> None:
    """Push messages into the queue `q`."""
    request = PushRequest(name="q", push_id=uuid.uuid4().hex, messages=[*messages])
    await api.use_cases.queues.queues.push(account, request)


async def take(api: ApiHarness, **changed: Any) -> MessagesTaken:
    """Take messages from the queue `q`."""
    return await api.use_cases.queues.queues.take(ACCOUNT, TakeRequest(name="q", **changed))


async def test_a_queue_exists_from_its_creation_to_its_deletion(api: ApiHarness) -> None:
    """Both can be repeated; a queue that is made again is empty."""
    queues = api.use_cases.queues.queues
    for _ in range(2):
        await queues.create(ACCOUNT, "q")
    await push(api, QueueMessage(json="1"))

    assert (await queues.list(ACCOUNT)).names == ["q"]
    for _ in range(2):
        await queues.delete(ACCOUNT, "q")
    assert (await queues.list(ACCOUNT)).names == []
    assert (await queues.create(ACCOUNT, "q")).ready == 0


async def test_accounts_see_their_own_queues_only(api: ApiHarness) -> None:
    """The same name is another queue in another account."""
    await api.use_cases.queues.queues.create(ACCOUNT, "q")
    with pytest.raises(QueueNotFound, match="no queue 'q' in your account: create it first"):
        await push(api, QueueMessage(json="1"), account=OTHER)
    with pytest.raises(QueueNotFound, match="no queue 'qq' in your account; did you mean 'q'"):
        await api.use_cases.queues.queues.info(ACCOUNT, "qq")
    await api.use_cases.queues.queues.create(OTHER, "q")
    await push(api, QueueMessage(json="1"), account=OTHER)

    assert (await api.use_cases.queues.queues.info(ACCOUNT, "q")).ready == 0


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (QueueMessage(), "Message 1 must have one of"),
        (QueueMessage(json="1", pickled=b"1", envelope=ENVELOPE), "Message 1 must have one of"),
        (QueueMessage(pickled=b"1"), "needs an `envelope`"),
        (QueueMessage(json="{"), "is not valid JSON"),
    ],
)
async def test_bad_messages_are_refused(
    api: ApiHarness, message: QueueMessage, refusal: str
) -> None:
    """None of the messages is pushed, and the error has the position of the bad one."""
    await api.use_cases.queues.queues.create(ACCOUNT, "q")

    with pytest.raises(RequestRefused, match=refusal):
        await push(api, QueueMessage(json="1"), message)

    assert (await api.use_cases.queues.queues.info(ACCOUNT, "q")).ready == 0


async def test_a_ticket_that_expired_is_reported(api: ApiHarness) -> None:
    """By its position; the others of the request are acknowledged."""
    queues = api.use_cases.queues.queues
    await queues.create(ACCOUNT, "q")
    await push(api, QueueMessage(json="1"))
    (first,) = (await take(api, deadline_s=3)).messages
    api.now += 4
    (again,) = (await take(api)).messages
    tickets = [first.ticket, again.ticket]

    extended = await queues.extend(ACCOUNT, ExtendRequest(name="q", tickets=tickets, deadline_s=9))
    checked = await queues.acknowledge(ACCOUNT, AcknowledgeRequest(name="q", tickets=tickets))

    assert extended.expired == [0]
    # The message is gone by now, which is what the late holder wanted, too.
    assert checked.expired in ([], [0])
    assert (await queues.info(ACCOUNT, "q")).in_flight == 0


async def test_a_queue_that_a_crash_left_without_its_store_is_made_again(api: ApiHarness) -> None:
    """The name was recorded, and the process ended before the port made the queue."""
    await api.use_cases.queues.queues.create(ACCOUNT, "q")
    record = next(iter((await api.server.context.commits.view.scan("queues/")).values()))
    await api.server.ports.queues.delete(record.id)

    await push(api, QueueMessage(json="1"))

    assert (await api.use_cases.queues.queues.info(ACCOUNT, "q")).ready == 1


async def test_a_take_that_waits_returns_when_the_server_stops(api: ApiHarness) -> None:
    """A long poll must not delay the end of the server."""
    await api.use_cases.queues.queues.create(ACCOUNT, "q")
    waiting = asyncio.create_task(take(api, timeout_s=30))
    await asyncio.sleep(0)
    api.use_cases.queues.queues.stop_waiting()

    assert (await asyncio.wait_for(waiting, 10)).messages == []


async def test_an_account_has_a_limited_number_of_queues(api: ApiHarness) -> None:
    """Those that exist can be used as before."""
    queues = api.use_cases.queues.queues
    for number in range(MAX_QUEUES):
        await _record(queues, api, f"q{number}")

    with pytest.raises(RequestRefused, match="delete one"):
        await queues.create(ACCOUNT, "one-too-many")

    assert (await queues.create(ACCOUNT, "q7")).name == "q7"


async def _record(queues: Queues, api: ApiHarness, name: str) -> None:
    """Record a queue without making it, which would take a sync of the disk."""
    from picloud_api.store.queue_record import QueueRecord

    async def plan(draft: Any) -> None:
        draft.put(f"queues/{ACCOUNT}/{name}", QueueRecord(f"{ACCOUNT}-{name}", 0.0))

    await api.server.context.commits.run(plan)


async def _refused(act: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(QueueNotFound):
        await act()


async def test_everything_else_needs_a_queue(api: ApiHarness) -> None:
    """Each operation on a queue that does not exist says that."""
    queues = api.use_cases.queues.queues
    tickets = ["x"]
    for act in (
        lambda: queues.info(ACCOUNT, "q"),
        lambda: queues.purge(ACCOUNT, "q"),
        lambda: push(api, QueueMessage(json="1")),
        lambda: take(api),
        lambda: queues.acknowledge(ACCOUNT, AcknowledgeRequest(name="q", tickets=tickets)),
    ):
        await _refused(act)
