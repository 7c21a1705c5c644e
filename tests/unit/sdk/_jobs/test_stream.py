"""Reading a stream: each value once, in order, from a position on, and then the end of the job."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, CloudValueError
from cloud._futures.stream_writer import StreamWriter
from picloud_model.wire.stream import StreamChunk

from tests.polling import eventually
from tests.unit.sdk.fake_server import client_for
from tests.unit.sdk.stream_server import StreamServer

if TYPE_CHECKING:
    from cloud._client.client import Client


@pytest.fixture
def server() -> StreamServer:
    """A server with the stream of job 1, which has ended: two chunks, and a large value."""
    server = StreamServer()
    client = client_for(server)
    client.call(abs, -1)
    server.done(1, None)
    writer = StreamWriter(client)
    for values in ([0, 1, 2], ["3"], [b"x" * 300_000]):
        writer._rested = writer._due = time.monotonic() + 60
        for value in values:
            writer.add(value)
        writer.send()
    return server


@pytest.fixture
def client(server: StreamServer) -> Client:
    """A client that talks to it."""
    return client_for(server)


def test_values_are_read_in_order(client: Client, server: StreamServer) -> None:
    """Requests name the position after the last value; the first one takes the stream over."""
    values = client.stream(1)

    assert list(values) == [0, 1, 2, "3", b"x" * 300_000]
    assert values.position == 5
    assert [(read.start, read.take) for read in server.reads] == [
        (0, True), (3, False), (4, False), (5, False),
    ]  # fmt: skip
    assert len({read.reader for read in server.reads}) == 1
    assert next(values, None) is None


async def test_an_event_loop_reads_the_same_values(client: Client, server: StreamServer) -> None:
    """A wait that is cancelled loses no value, and the error of the job comes after the last."""
    server.failed(1, KeyError("last"))
    server.readable.clear()
    values = client.stream(1)
    waiting = asyncio.ensure_future(anext(values))
    await eventually(lambda: server.reads, "the stream is read")
    waiting.cancel()
    server.readable.set()

    read = []
    with pytest.raises(KeyError, match="last"):
        async for value in values:
            read.append(value)  # noqa: PERF401 - those before the error count
    assert read == [0, 1, 2, "3", b"x" * 300_000]
    assert (values.position, len(server.reads)) == (5, 4)
    assert await anext(values, None) is None


async def test_several_tasks_share_the_values(client: Client, server: StreamServer) -> None:
    """Each value goes to one of those that wait together, and none of them ends too early."""
    server.readable.clear()
    values = client.stream(1)
    waiting = [asyncio.ensure_future(anext(values)) for _ in range(5)]
    await eventually(lambda: server.reads, "the stream is read")
    server.readable.set()

    assert sorted(await asyncio.gather(*waiting), key=str) == [0, 1, 2, "3", b"x" * 300_000]
    assert values.position == 5


def test_reading_begins_within_a_chunk(client: Client) -> None:
    """Values before the position are left out."""
    assert next(client.stream(1, 2)) == 2
    assert repr(client.stream(1, 2)) == "<stream of job 1, at 2>"


def test_damage_is_an_error(client: Client, server: StreamServer) -> None:
    """A chunk with fewer values than it says is named by its job."""
    chunk = server.chunks[0]
    server.chunks[0] = StreamChunk(0, 4, chunk.content)
    with pytest.raises(CloudException, match="Cannot read the values of job 1") as failed:
        next(client.stream(1))
    assert failed.value.jid == 1


@pytest.mark.parametrize("start", [-1, 1.0, "1", None])
def test_a_position_is_a_whole_number(client: Client, start: object) -> None:
    """Refused before any request."""
    with pytest.raises(CloudValueError, match="start must be a whole number from 0, not"):
        client.stream(1, start)  # type: ignore[arg-type]
