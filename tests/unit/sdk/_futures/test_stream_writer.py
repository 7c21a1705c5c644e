"""Adding to a stream: at once after a pause, together otherwise, each position once."""

from __future__ import annotations

import threading
import time

import pytest
from cloud import CloudException
from cloud._futures.stream_writer import StreamWriter
from picloud_model.wire.stream import (
    MAX_CHUNK_BYTES,
    MAX_CHUNK_VALUES,
)

from tests.polling import until
from tests.unit.sdk.fake_server import client_for
from tests.unit.sdk.stream_server import StreamServer


def test_the_first_value_is_sent_at_once_and_others_together() -> None:
    """No thread is needed for a value that follows a pause; the end sends the rest."""
    server = StreamServer()
    with StreamWriter(client_for(server)) as writer:
        writer.add(0)
        assert [chunk.count for chunk in server.chunks] == [1]
        for number in range(1, 3 * MAX_CHUNK_VALUES):
            writer.add(number)

    assert server.values() == list(range(3 * MAX_CHUNK_VALUES))
    assert len(server.chunks) < 2000


def test_a_pause_sends_what_is_left() -> None:
    """Another thread does: the generator may compute for hours until its next value."""
    server = StreamServer()
    with StreamWriter(client_for(server)) as writer:
        writer.add(0)
        writer.add(1)
        until(lambda: server.count == 2, "the second value is sent")
        thread = writer._thread
    assert thread is None or not thread.is_alive()
    assert server.values() == [0, 1]


def test_a_value_after_a_rest_is_sent_at_once() -> None:
    """Values accumulate for twice as long as a request took, but not one that comes alone."""
    server = StreamServer()
    with StreamWriter(client_for(server)) as writer:
        writer.add(0)
        writer._rested, writer._due = 0.0, time.monotonic() + 60
        writer.add(1)
        assert [chunk.count for chunk in server.chunks] == [1, 1]
        writer._rested = writer._due = time.monotonic() + 60
        writer.add(2)
        writer._rested = 0.0
        writer.add(3)
        assert [chunk.count for chunk in server.chunks] == [1, 1]

    assert server.values() == [0, 1, 2, 3]


def test_what_an_earlier_attempt_has_added_is_left_out() -> None:
    """It is not pickled again; if it ends within a chunk, the rest of the chunk is added."""
    server = StreamServer(count=15)
    with StreamWriter(client_for(server)) as writer:
        for number in range(10):
            writer.add(number if number in (0, 9) else threading.Lock())
        for number in range(10, 20):
            writer.add(number)

    assert (server.chunks[0].first, server.count) == (15, 20)
    assert server.values() == [15, 16, 17, 18, 19]
    within = StreamServer(count=2)
    writer = StreamWriter(client_for(within))
    writer._rested = writer._due = time.monotonic() + 60
    for number in range(5):
        writer.add(number)
    writer.send()
    assert within.values() == [2, 3, 4]


def test_large_values_go_as_blobs_and_wait_for_room() -> None:
    """A value that does not fit a request goes alone; a full stream is asked again."""
    server = StreamServer()
    server.full = 2
    with StreamWriter(client_for(server)) as writer:
        writer.add("small")
        writer.add(b"x" * MAX_CHUNK_BYTES)

    assert server.values() == ["small", b"x" * MAX_CHUNK_BYTES]
    assert [chunk.content.data is None for chunk in server.chunks] == [False, True]


def test_a_stream_without_values_exists() -> None:
    """Its reader learns that it has ended."""
    server = StreamServer()
    with StreamWriter(client_for(server)):
        pass

    assert (server.requests, server.count) == (1, 0)


def test_values_are_sent_before_an_error_but_not_of_a_job_that_is_killed() -> None:
    """The error of the generator is the one that is raised."""
    for kind, added in ((ValueError, 2), (KeyboardInterrupt, 1)):
        server = StreamServer()
        writer = StreamWriter(client_for(server))
        with pytest.raises(kind), writer:
            writer.add(0)
            writer._rested = writer._due = time.monotonic() + 60
            writer.add(1)
            raise kind
        assert server.count == added
        writer._closed.set()


def test_a_refusal_ends_the_generator() -> None:
    """Also if another thread has met it; a value that cannot be pickled is named."""
    server = StreamServer()
    server.refusing = True
    with pytest.raises(CloudException), StreamWriter(client_for(server)) as writer:
        writer.add(0)
    server.refusing = False
    with pytest.raises(CloudException), StreamWriter(client_for(server)) as writer:
        writer.add(0)
        server.refusing = True
        writer.add(1)
        until(lambda: writer._error is not None, "the other thread has met it")
        server.refusing = False
        for number in range(2 * MAX_CHUNK_VALUES):
            writer.add(number)
    assert server.values()[-1] == 0

    with (
        pytest.raises(CloudException, match=r"value 1 of the stream.*'a'.*lock"),
        StreamWriter(client_for(StreamServer())) as writer,
    ):
        writer.add(0)
        writer.add({"a": threading.Lock()})
