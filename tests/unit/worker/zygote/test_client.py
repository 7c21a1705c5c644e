"""The client of the zygote: what it sends, and how it notices exits."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest
from picloud_worker.ipc.scoreboard import Scoreboard
from picloud_worker.zygote.client import ZygoteClient, ZygoteLostError
from picloud_worker.zygote.process import DESCRIPTORS, EXIT, FORK, PRELOAD, REQUEST, SIGNAL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection; the second is the zygote's."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def client(ends: tuple[socket.socket, socket.socket]) -> ZygoteClient:
    """A client of a zygote that the test plays."""
    return ZygoteClient(ends[0], Scoreboard(), "ab", os.getuid())


@pytest.fixture
def zygote(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    """The zygote's end of the connection."""
    return ends[1]


def received(zygote: socket.socket) -> tuple[bytes, int, int]:
    """Return the next request, and close its descriptors."""
    request, descriptors, _, _ = socket.recv_fds(zygote, REQUEST.size, DESCRIPTORS)
    for descriptor in descriptors:
        os.close(descriptor)
    verb, index, number = REQUEST.unpack(request)
    return verb, index, number


def test_each_child_has_a_row_and_a_name(client: ZygoteClient, zygote: socket.socket) -> None:
    """The zygote gets the row, and the number of the job socket that was named before."""
    names = []
    indexes = []
    for _ in range(2):
        names.append(client.next_socket_name())
        indexes.append(client.fork([0]))

    assert names == ["ab-1", "ab-2"]
    assert indexes == [0, 1]
    assert [received(zygote) for _ in range(2)] == [(FORK, 0, 1), (FORK, 1, 2)]


def test_a_row_is_used_again_after_an_exit(client: ZygoteClient, zygote: socket.socket) -> None:
    """Exits arrive in any portions; the lowest free row is the next."""
    for _ in range(3):
        client.fork([0])
    report = EXIT.pack(1, 256) + EXIT.pack(0, 9)

    zygote.send(report[:7])
    first = list(client.exits())
    zygote.send(report[7:])
    second = list(client.exits())

    assert (first, second) == ([(1, 256)], [(0, 9)])
    assert list(client.exits()) == []
    assert [client.fork([0]) for _ in range(3)] == [0, 1, 3]


def test_it_preloads_once(client: ZygoteClient, zygote: socket.socket) -> None:
    """The second time there is nothing to import."""
    client.preload()
    client.preload()
    client.signal(4, signal.SIGTERM)

    assert [received(zygote)[0] for _ in range(2)] == [PRELOAD, SIGNAL]


def test_the_exit_of_the_zygote_is_an_error(client: ZygoteClient, zygote: socket.socket) -> None:
    """Without the zygote this slot can run no more jobs."""
    zygote.close()

    with pytest.raises(ZygoteLostError):
        list(client.exits())
    with pytest.raises(ZygoteLostError):
        client.fork([0])
