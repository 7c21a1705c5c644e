"""The consumer of a queue on NATS, when the server answers late."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_driver.queue.nats_consumer import QueueConsumer
from picloud_driver.queue.port import NO_LIMITS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.queue import Delivery

SLOW_S = 0.2
"""Longer than a take with no timeout waits for anything but an answer."""


class Received(msgspec.Struct):
    """A message as the client of NATS hands it over."""

    subject: str
    reply: str = ""
    data: bytes = b""
    headers: dict[str, str] | None = None


class SlowServer:
    """The gateway to a server that answers a pull that does not wait late, and other pulls never.

    Args:
        answer: Sends the answer to the pull with this inbox.
    """

    def __init__(self, answer: Callable[[SlowServer, str], Awaitable[None]]) -> None:
        self._answer = answer
        self._tasks: list[asyncio.Task[None]] = []

    def inbox(self) -> str:
        """Return the subject of answers."""
        return "_INBOX.1"

    async def subscribe(
        self, _: str, receive: Callable[[Any], Awaitable[None]], *, deliver: object
    ) -> object:
        """Send answers to a function from now on."""
        del deliver  # this client cannot do that
        self._receive = receive

    async def publish(self, _: str, payload: bytes, reply: str = "") -> None:
        """Receive a pull."""
        if msgspec.json.decode(payload).get("no_wait"):
            self._tasks.append(asyncio.create_task(self._answer(self, reply)))

    async def send(self, number: int) -> None:
        """Deliver a message."""
        reply = f"$JS.ACK.queue.consumer.1.{number}.1.1700000000500000000.0"
        await self._receive(Received("picloud.queue.q", reply, b"%d" % number))

    async def send_status(self, inbox: str, status: str) -> None:
        """Say that there is no message, or that an earlier pull gets it."""
        await self._receive(Received(inbox, headers={"Status": status}))


async def take(consumer: QueueConsumer, timeout_s: float) -> list[Delivery]:
    """Take at most ten messages."""
    return await consumer.take(
        10, most_bytes=1000, deadline_s=60.0, timeout_s=timeout_s, limits=NO_LIMITS
    )


async def with_a_pull_that_waits(
    answer: Callable[[SlowServer, str], Awaitable[None]],
) -> tuple[SlowServer, QueueConsumer]:
    """Return a consumer whose pull waits for nine more messages."""
    server = SlowServer(answer)
    consumer = QueueConsumer(server, "q", "c1")  # type: ignore[arg-type]
    await consumer.open()
    taking = asyncio.create_task(take(consumer, 20.0))
    await asyncio.sleep(0)
    await server.send(1)
    assert [each.body for each in await taking] == [b"1"]
    return server, consumer


@pytest.mark.parametrize("status", ["404", "408"])
async def test_a_take_without_a_timeout_finds_what_an_earlier_pull_receives(status: str) -> None:
    """It waits for the server to say that it has none, or that it is about to send some."""

    async def late(server: SlowServer, inbox: str) -> None:
        if status == "408":
            await server.send_status(inbox, status)
        await asyncio.sleep(SLOW_S)
        await server.send(2)
        if status == "404":
            await server.send_status(inbox, status)

    _, consumer = await with_a_pull_that_waits(late)

    assert [each.body for each in await take(consumer, 0.0)] == [b"2"]
    await consumer.close()


async def test_one_of_two_takes_without_a_timeout_gets_the_message() -> None:
    """The other one ends without, though the server sends no status after a message."""
    asked = []

    async def once(server: SlowServer, inbox: str) -> None:
        asked.append(inbox)
        if len(asked) == 2:
            await server.send(2)

    _, consumer = await with_a_pull_that_waits(once)

    taken = await asyncio.gather(take(consumer, 0.0), take(consumer, 0.0))

    assert sorted(len(each) for each in taken) == [0, 1]
    await consumer.close()


async def test_a_take_without_a_timeout_leaves_the_pull_that_waits() -> None:
    """What the server sends for it later is received."""

    async def none(server: SlowServer, inbox: str) -> None:
        await server.send_status(inbox, "404")

    server, consumer = await with_a_pull_that_waits(none)

    assert await take(consumer, 0.0) == []
    await server.send(2)
    assert [each.body for each in await take(consumer, 0.0)] == [b"2"]
    await consumer.close()
