"""Rates of the queues of an account."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from picloud_model.errors import QueueNotFound
from picloud_model.wire.attachment import HandledRequest
from picloud_model.wire.queue import (
    AcknowledgeRequest,
    ExtendRequest,
    PushRequest,
    QueueMessage,
    TakeRequest,
)

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


async def test_what_happens_to_messages_is_counted(api: ApiHarness) -> None:
    """Pushed, acknowledged, handled, and failed in a handler, with or without a rule for that."""
    queues, rates = api.use_cases.queues.queues, api.use_cases.queues.rates
    for name in ("q", "other"):
        await queues.create(ACCOUNT, name)
    messages = [QueueMessage(json=str(number)) for number in range(6)]
    pushed = PushRequest(name="q", push_id=uuid.uuid4().hex, messages=messages)
    await queues.push(ACCOUNT, pushed)
    taken = await queues.take(ACCOUNT, TakeRequest(name="q", max_count=6))
    tickets = [each.ticket for each in taken.messages]
    await queues.acknowledge(ACCOUNT, AcknowledgeRequest(name="q", tickets=tickets[:3]))
    handled = HandledRequest("q", "a" * 32, tickets[3:5], failed=1)
    await api.use_cases.queues.handled.exchange(ACCOUNT, handled)
    await queues.extend(ACCOUNT, ExtendRequest("q", tickets[5:], 30.0, failed=True))
    api.now += 10

    other, q = (await rates.list(ACCOUNT)).rates
    assert (sum(q.pushed), sum(q.removed), sum(q.failed)) == (6, 5, 2)
    assert (other.queue, other.pushed) == ("other", [])
    assert [each.queue for each in (await rates.list(ACCOUNT, ["other"])).rates] == ["other"]
    with pytest.raises(QueueNotFound, match="no queue 'missing'"):
        await rates.list(ACCOUNT, ["q", "missing"])
