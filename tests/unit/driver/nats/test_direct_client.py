"""The short ways for many messages, on the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from picloud_driver.nats.direct_client import DirectClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nats.aio.msg import Msg

INFO = b'INFO {"server_id":"s","version":"2.15.2","headers":true,"max_payload":1000000}\r\n'
BATCH = b"NATS/1.0\r\nNats-Batch-Id: 1\r\n\r\n"
NO_MESSAGES = b"NATS/1.0 404 No Messages\r\n\r\n"


class Server:
    """Speaks as much of the protocol as one client needs, and keeps what it receives."""

    def __init__(self) -> None:
        self.received = b""
        self._flushed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the one client."""
        self._writer = writer
        writer.write(INFO)
        while data := await reader.read(65536):
            self.received += data
            writer.writelines([b"PONG\r\n"] * data.count(b"PING\r\n"))
        writer.close()

    def send(self, sid: int, body: bytes, headers: bytes = b"", subject: bytes = b"in.1") -> None:
        """Deliver a message."""
        size = len(headers) + len(body)
        line = b"HMSG %b %d reply.%b %d %d" if headers else b"MSG %b %d reply.%b %d"
        sizes = (len(headers), size) if headers else (size,)
        line %= (subject, sid, body, *sizes)
        self._writer.write(line + b"\r\n" + headers + body + b"\r\n")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server of the protocol."""
    made = Server()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = listening.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    yield made
    listening.close()


@pytest.fixture
async def client(server: Any) -> AsyncIterator[DirectClient]:
    """A client that is connected to it."""
    made = DirectClient()
    await made.connect(f"nats://127.0.0.1:{server.port}")
    yield made
    await made.close()


async def test_messages_are_handed_over_as_they_are_read(
    server: Server, client: DirectClient
) -> None:
    """In their order, with the headers of those that have a status; until that is ended."""
    read: list[Any] = []
    received: list[bytes] = []

    async def receive(message: Msg) -> None:
        received.append(message.data)

    subscription = await client.subscribe("in.*", cb=receive)
    client.deliver_directly(subscription, lambda *message: read.append(message))
    await client.flush()
    server.send(1, b"1", BATCH)
    server.send(1, b"2")
    server.send(1, b"", NO_MESSAGES)
    server.send(1, b"3", BATCH)
    await client.flush()

    assert [(reply, body) for _, reply, body, _ in read if body] == [
        ("reply.1", b"1"),
        ("reply.2", b"2"),
        ("reply.3", b"3"),
    ]
    assert {subject for subject, *_ in read} == {"in.1"}
    assert [status and status["Status"] for *_, status in read] == [None, None, "404", None]

    client.end_delivery(subscription)
    server.send(1, b"4")
    await client.flush()
    await asyncio.sleep(0)
    assert (len(read), received) == (4, [b"4"])


async def test_other_subscriptions_receive_as_before(server: Server, client: DirectClient) -> None:
    """Whole messages, from a task of their own."""
    received = asyncio.get_running_loop().create_future()

    async def receive(message: Msg) -> None:
        received.set_result(message)

    await client.subscribe("in.*", cb=receive)
    server.send(1, b"1", BATCH)
    message = await asyncio.wait_for(received, 10)

    assert (message.data, message.headers) == (b"1", {"Nats-Batch-Id": "1"})


async def test_many_messages_are_published_together(server: Server, client: DirectClient) -> None:
    """As single ones are on the wire; 1,000 of them as one write."""
    writes: list[bytes] = []
    await sent(server, client)
    send = client._send_command

    async def counted(command: bytes, priority: bool = False) -> None:
        writes.append(command)
        await send(command, priority)

    client._send_command = counted  # type: ignore[method-assign]
    await client.publish_all([("q.m", BATCH, b"%d" % number) for number in range(1000)])
    assert len(writes) == 1
    together = await sent(server, client)

    for number in range(1000):
        await client.publish("q.m", b"%d" % number, headers={"Nats-Batch-Id": "1"})
    assert together.replace(b"q.m ", b"q.m  ") == await sent(server, client)


async def test_large_messages_are_published_in_parts(server: Server, client: DirectClient) -> None:
    """So that they are not all in memory twice."""
    await sent(server, client)
    await client.publish_all([("q.m", BATCH, b"x" * 100_000) for _ in range(10)])

    assert (await sent(server, client)).count(BATCH + b"x" * 100_000 + b"\r\n") == 10


async def sent(server: Server, client: DirectClient) -> bytes:
    """Return what the server has received since the last call, besides pings."""
    # A ping passes what waits to be written; the second one comes after that.
    await client.flush()
    await client.flush()
    received, server.received = server.received, b""
    return received.replace(b"PING\r\n", b"")
