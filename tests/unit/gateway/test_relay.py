"""A stream is carried while it is used, and for no longer than it may last."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

import pytest
from picloud_gateway.relay import BUFFER_BYTES, Relay
from picloud_model.wire.gateway import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ScriptedLoop:
    """An event loop whose time a test sets, and in which sockets are ready when it says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.readers: dict[socket.socket, Callable[[], None]] = {}
        self.writers: dict[socket.socket, Callable[[], None]] = {}
        self._due: tuple[float, Callable[[], None]] | None = None
        self._cancelled = False

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, call: Callable[[], None]) -> ScriptedLoop:
        return self.call_at(self.now + delay, call)

    def call_at(self, when: float, call: Callable[[], None]) -> ScriptedLoop:
        self._due = (when, call)
        return self

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def add_reader(self, each: socket.socket, call: Callable[[], None]) -> None:
        self.readers[each] = call

    def remove_reader(self, each: socket.socket) -> None:
        self.readers.pop(each, None)

    def add_writer(self, each: socket.socket, call: Callable[[], None]) -> None:
        self.writers[each] = call

    def remove_writer(self, each: socket.socket) -> None:
        self.writers.pop(each, None)

    def sleep_until(self, when: float) -> None:
        """Let time go by; call what is due."""
        self.now = when
        if self._due is not None and self._due[0] <= when and not self._cancelled:
            call, self._due = self._due[1], None
            call()


class Carried:
    """A relay between two pairs of sockets: `one` and `other` are what the ends have."""

    def __init__(self, limits: StreamLimits) -> None:
        self.loop: Any = ScriptedLoop()
        self.one, self.near = socket.socketpair()
        self.other, self.far = socket.socketpair()
        self.ended: list[Relay] = []
        for each in (self.near, self.far):
            each.setblocking(False)
        self.relay = Relay(self.loop, (self.near, self.far), limits, self.ended.append)

    def close(self) -> None:
        self.relay.close()
        self.one.close()
        self.other.close()


@pytest.fixture
def carried() -> Iterator[Carried]:
    """A stream that ends after 10 s without a byte, and after 25 s in any case."""
    carried = Carried(StreamLimits(idle_s=10, longest_s=25))
    yield carried
    carried.close()


def test_a_byte_postpones_the_end(carried: Carried) -> None:
    """In either direction; after that, the stream ends as soon as it has rested for long enough."""
    carried.loop.sleep_until(6)
    carried.one.sendall(b"x")
    carried.loop.readers[carried.near]()
    assert carried.other.recv(1) == b"x"
    carried.loop.sleep_until(10)
    assert carried.ended == []

    carried.loop.sleep_until(16)

    assert carried.ended == [carried.relay]
    assert carried.one.recv(1) == b""
    assert carried.loop.readers == {}


def test_no_stream_lasts_for_ever(carried: Carried) -> None:
    """However much it carries."""
    for second in range(24):
        carried.loop.sleep_until(second)
        carried.other.sendall(b"x")
        carried.loop.readers[carried.far]()
    assert carried.ended == []

    carried.loop.sleep_until(25)

    assert carried.ended == [carried.relay]


def test_an_end_is_read_as_fast_as_the_other_accepts(carried: Carried) -> None:
    """What does not fit is kept, less than a buffer, and no more is read until it is sent."""
    carried.one.setblocking(False)
    data = bytes(range(256)) * 1024
    sent = 0
    while carried.near in carried.loop.readers:
        sent += _sent(carried.one, data[sent % 256 :])
        carried.loop.readers[carried.near]()
    assert 0 < len(carried.relay._directions[0]._rest) <= BUFFER_BYTES

    received = bytearray()
    carried.one.shutdown(socket.SHUT_WR)
    carried.other.settimeout(10)
    while data := carried.other.recv(2**20):
        received += data
        for call in (*carried.loop.writers.values(), *carried.loop.readers.values()):
            call()

    assert len(received) == sent
    assert received == (bytes(range(256)) * (sent // 256 + 1))[:sent]
    # This direction has ended, the other has not.
    assert carried.ended == []
    carried.other.close()
    carried.loop.readers[carried.far]()
    assert carried.ended == [carried.relay]


def _sent(connected: socket.socket, data: bytes) -> int:
    try:
        return connected.send(data)
    except BlockingIOError:
        return 0


def test_a_broken_end_ends_the_other(carried: Carried) -> None:
    """Both sockets are closed, once."""
    carried.other.close()
    carried.one.sendall(b"x")
    carried.loop.readers[carried.near]()
    carried.relay.close()

    assert carried.ended == [carried.relay]
    assert carried.one.recv(1) == b""


async def test_it_runs_in_a_real_loop() -> None:
    """The sockets become ready by themselves."""
    (one, near), (other, far) = socket.socketpair(), socket.socketpair()
    for each in (one, near, other, far):
        each.setblocking(False)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    Relay(loop, (near, far), StreamLimits(), lambda _: ended.set())

    await loop.sock_sendall(one, b"hello")
    assert await loop.sock_recv(other, 5) == b"hello"
    one.close()
    other.close()
    await ended.wait()
