"""The process that serves a mount: its answer, its end, and what it must not send."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest
from picloud_model.wire import BucketMounted
from picloud_worker.mount.mount_server import SOCKET, MountServer
from picloud_worker.mount.request import MountRequest, encoded, receive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REQUEST = MountRequest(url="http://127.0.0.1:9", token="t", at="/bucket", uid=1, gid=2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MountServer]:
    """What serves a mount; its process is not started."""
    made = MountServer(REQUEST, tmp_path, selectors.DefaultSelector())
    yield made
    made.close(1.0)


@pytest.fixture
def peer(server: MountServer) -> Iterator[socket.socket]:
    """The other end of its socket, which has received the request."""
    ours, theirs = socket.socketpair()
    with subprocess.Popen(["sleep", "60"]) as process, theirs:
        server.connect(ours, process)
        _, copies = receive(theirs)
        os.close(copies)
        yield theirs
        process.kill()


def test_the_answer_is_kept(server: MountServer, peer: socket.socket) -> None:
    """Until it arrives, the mount is not ready."""
    server.receive()
    assert not server.answer.ready

    peer.send(encoded(BucketMounted(path="/bucket", ready=True)))
    server.receive()

    assert server.answer.ready
    assert not server.is_lost


def test_the_end_of_the_process_is_the_loss_of_the_mount(
    server: MountServer, peer: socket.socket
) -> None:
    """Something other than an answer is ignored before."""
    peer.send(b"nonsense\n")
    server.receive()
    assert not server.is_lost

    peer.close()
    server.receive()

    assert server.is_lost


def test_a_process_outside_connects(server: MountServer, tmp_path: Path) -> None:
    """The socket is in the directory that both see, and accepts as soon as it has its name."""
    directory = os.open(tmp_path, os.O_RDONLY)
    server.listen(directory)
    with socket.socket(socket.AF_UNIX) as machine:
        machine.connect(str(tmp_path / SOCKET))
        server.receive()

        request, copies = receive(machine)

    assert request == REQUEST
    assert not server.is_ignored()
    os.close(copies)
    os.close(directory)
