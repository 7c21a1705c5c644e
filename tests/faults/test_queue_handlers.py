"""Messages pass through handlers while everything that handles them is killed: none is lost."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from cloud import queue

from tests.current_client import current_client
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import kill
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud.queue import CloudQueue

    from tests.e2e.stacks import Stack

SEED = 20_130_403
MESSAGES = int(os.environ.get("QUEUE_MESSAGES", "500"))
"""`make faults` pushes ten thousand."""
STAGES = 3
IS_LONG = MESSAGES > 2000
KILLS = ["slot", "api", "slot", "api", "nats", "api"] if IS_LONG else ["slot", "api", "nats"]
DEDUPES = [True, False] if IS_LONG else [True]
"""Without, under 1% may arrive twice; a handler is allowed that, so the short run leaves it out."""


def add_one(number: int) -> int:
    """Handle a message, in a time in which a kill may come."""
    time.sleep(0.0002)
    return number + 1


@pytest.mark.parametrize("dedupe", DEDUPES)
def test_messages_through_three_handlers(begin_each: Callable[..., Stack], dedupe: bool) -> None:
    """Slots, the API and NATS are killed with kill -9 meanwhile: each message arrives, and under 1%
    arrive twice, none of them with `dedupe`.
    """
    stack = begin_each(slots=4)
    client, chance = stack.client(patient=True), random.Random(SEED)
    with current_client(client):
        queues = [queue.get(f"stage-{number}") for number in range(STAGES + 1)]
        for source, target in pairwise(queues):
            source.attach(add_one, target, max_parallel_jobs=2, dedupe=dedupe)
        queues[0].push(range(MESSAGES))
        for number, killed in enumerate(KILLS):
            many = number * MESSAGES // (len(KILLS) + 1)
            until(partial(has, queues[-1], many), "messages arrive", 120.0)
            if killed == "api":
                stack.kill9_api()
                stack.start()
            elif killed == "nats" and isinstance(stack, HashiCorpStack):
                stack.kill_server("nats-server")
                stack.revive()
            elif slots := stack.slots():
                kill(chance.choice(slots))
        until(lambda: not any(map(waiting, queues[:-1])), "all messages were handled", 180.0)
        arrived: Counter[int] = Counter()
        while popped := queues[-1].pop(1000, timeout=1):
            arrived.update(popped)
        for each in queues:
            each.detach()
            each.delete()
    client.close()

    repeats = arrived.total() - len(arrived)
    lost = MESSAGES - len(arrived)
    print(f"\ndedupe={dedupe} messages={MESSAGES} lost={lost} repeated={repeats}")
    assert sorted(arrived) == list(range(STAGES, MESSAGES + STAGES))
    assert repeats < (1 if dedupe else MESSAGES / 100)


def has(q: CloudQueue, count: int) -> bool:
    """Return whether a queue has so many messages."""
    return waiting(q) >= count


def waiting(q: CloudQueue) -> int:
    """Return how many messages a queue has."""
    info = q.info()
    return int(info["count"] + info["delayed"] + info["in_flight"])
