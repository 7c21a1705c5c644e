"""What is measured of queues: messages of 100 bytes, and handlers that do nothing."""

from __future__ import annotations

import os
import statistics
import time
from typing import Any, Final

from bench.timed import timed

_BYTES: Final = 100
_MESSAGES: Final = 20_000
_AT_ONCE: Final = 800
_WAITING: Final = 1_000_000


def nothing(message: Any) -> Any:
    """Return the message: a handler that does nothing."""
    return message


def slow(message: Any) -> Any:
    """Sleep for 50 ms, as a handler does that waits for a site."""
    time.sleep(0.05)
    return message


def messages(contender: Any) -> dict[str, float]:
    """Messages through a handler that does nothing, from push to output queue; by one job."""
    contender.pass_messages(_random(100))
    made = _random(_MESSAGES)
    rate = len(made) / timed(lambda: _check(contender.pass_messages(made), made))
    times = [timed(lambda: contender.pass_messages(_random(1))) for _ in range(200)]
    return {"messages": rate, "message": statistics.median(times) * 1000}


def pushes(contender: Any) -> dict[str, float]:
    """Pushes of 800 messages a request, then tickets of 1,000 at once, acknowledged at once."""
    queue = contender.cloud.queue.get("pushes")
    made = _random(_AT_ONCE)
    queue.push(made)
    rounds = _MESSAGES // _AT_ONCE
    pushed_s = timed(lambda: [queue.push(made) for _ in range(rounds)])

    def take() -> None:
        left = (rounds + 1) * _AT_ONCE
        while left:
            tickets = queue.pop_tickets(1000, deadline=600)
            queue.ack(tickets)
            left -= len(tickets)

    taken_s = timed(take)
    queue.delete()
    return {
        "pushes": rounds * _AT_ONCE / pushed_s,
        "tickets": (rounds + 1) * _AT_ONCE / taken_s,
    }


def handlers(contender: Any) -> dict[str, float]:
    """The first message with no job running, and what four readers of a job gain."""
    get = contender.cloud.queue.get
    source, target = get("cold"), get("cold-out")
    source.attach(nothing, target)

    def first() -> None:
        source.push([1])
        target.pop(1, timeout=60)

    cold_s = timed(first)
    source.detach()
    took = {}
    for readers in (1, 4):
        source, target = get(f"slow-{readers}"), get("slow-out")
        source.attach(slow, target, readers_per_job=readers)
        source.push(range(4))
        _popped(target, 4)
        source.push(range(200))
        took[readers] = timed(lambda target=target: _popped(target, 200))
        source.detach()
    return {"queue_cold": cold_s, "readers": took[1] / took[4]}


def waiting(contender: Any) -> dict[str, float]:
    """The memory of the API that a million waiting messages take, and the time of a count."""
    from bench.measures import memory_mb

    def memory() -> float:
        return max(memory_mb(pid, "VmRSS") for pid in contender.server_pids())

    queue = contender.cloud.queue.get("waiting")
    queue.push(_random(_AT_ONCE))
    before, made = memory(), _random(_AT_ONCE)
    for _ in range(_WAITING // _AT_ONCE):
        queue.push(made)
    rise = memory() - before
    count_s = statistics.median(timed(queue.count) for _ in range(20))
    return {"waiting": rise, "count": count_s * 1000}


def _popped(queue: Any, count: int) -> list[Any]:
    popped: list[Any] = []
    while len(popped) < count:
        popped += queue.pop(1000, timeout=60)
    return popped


def _random(count: int) -> list[bytes]:
    return [os.urandom(_BYTES) for _ in range(count)]


def _check(arrived: list[Any], pushed: list[Any]) -> None:
    if sorted(arrived) != sorted(pushed):
        message = "a contender lost or changed messages: its time means nothing"
        raise ValueError(message)
