"""Sockets through which a machine reaches the supervisor of a container."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from picloud_worker.ipc import machine_socket
from picloud_worker.ipc.machine_socket import MARK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the directory of both."""
    opened = os.open(tmp_path, os.O_RDONLY)
    yield opened
    os.close(opened)


def test_the_machine_says_that_it_is_there(directory: int, tmp_path: Path) -> None:
    """By a file."""
    assert not machine_socket.is_served(directory)
    (tmp_path / MARK).touch()
    assert machine_socket.is_served(directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="the machine is root")
def test_the_machine_connects_as_soon_as_there_is_a_name(directory: int, tmp_path: Path) -> None:
    """A later socket replaces an earlier one of the same name; nothing waits."""
    machine_socket.listen(directory, "a").close()

    with machine_socket.listen(directory, "a") as listening, socket.socket(socket.AF_UNIX) as peer:
        with pytest.raises(BlockingIOError):
            machine_socket.accept(listening)
        peer.connect(str(tmp_path / "a"))
        connection = machine_socket.accept(listening)

    assert connection is not None
    connection.close()
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
