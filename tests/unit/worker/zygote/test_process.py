"""The zygote: forks, signals and reaps children, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from picloud_worker.ipc.claims import Claims
from picloud_worker.zygote import process
from picloud_worker.zygote.client import ZygoteClient

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[ZygoteClient]:
    """A zygote of this process."""
    client = ZygoteClient.start(tmp_path)
    yield client
    client.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what a test opens."""
    with ExitStack() as opened:
        yield opened


def fork(zygote: ZygoteClient, stack: ExitStack) -> tuple[int, psutil.Process]:
    """Fork a child that waits for an assignment; return its index and its process."""
    ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
    claims = Claims()
    stack.callback(claims.close)
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    with Path(os.devnull).open("w") as null:
        outputs = [null.fileno()] * 3
        index = zygote.fork([theirs.fileno(), claims.reader, writer, *outputs])
    os.close(writer)
    stack.callback(ours.close)
    pid = until(lambda: zygote.scoreboard.pid(index), "the child is registered")
    return index, psutil.Process(pid)


def exits(zygote: ZygoteClient) -> list[tuple[int, int]]:
    """Wait for the next exits of children."""
    return until(lambda: list(zygote.exits()), "a child exits")


def test_the_volumes_of_a_child_are_removed_with_it(
    zygote: ZygoteClient, stack: ExitStack, tmp_path: Path
) -> None:
    """Also what its modes protect; the volumes of other children stay."""
    folders = []
    for _ in range(2):
        name = zygote.next_socket_name()
        index, child = fork(zygote, stack)
        folder = Path(process.volumes_folder(str(tmp_path), name))
        (folder / "data" / "closed").mkdir(parents=True)
        (folder / "data" / "closed" / "file").touch()
        (folder / "data" / "closed").chmod(0)
        folders.append(folder)

    zygote.signal(index, signal.SIGKILL)
    exits(zygote)

    until(lambda: not folders[1].exists(), "the directory is removed")
    assert not child.is_running()
    assert folders[0].exists()


def test_the_exit_of_a_child_is_reported(zygote: ZygoteClient, stack: ExitStack) -> None:
    """Its index and its wait status; the index is then used again."""
    first, child = fork(zygote, stack)
    second, _ = fork(zygote, stack)

    zygote.signal(first, signal.SIGKILL)

    assert exits(zygote) == [(first, signal.SIGKILL)]
    assert not child.is_running()
    assert first != second
    assert fork(zygote, stack)[0] == first


def test_a_signal_to_a_child_that_exited_does_nothing(
    zygote: ZygoteClient, stack: ExitStack
) -> None:
    """The zygote goes on."""
    index, _ = fork(zygote, stack)
    zygote.signal(index, signal.SIGKILL)
    exits(zygote)

    zygote.signal(index, signal.SIGKILL)

    assert fork(zygote, stack)[1].is_running()


def test_children_are_of_the_zygote_and_of_a_session_of_their_own(
    zygote: ZygoteClient, stack: ExitStack
) -> None:
    """A signal to its process group reaches all that a job starts, and nothing else."""
    _, child = fork(zygote, stack)
    _, other = fork(zygote, stack)

    assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid
    assert child.ppid() == other.ppid() != os.getpid()


def test_the_end_of_the_supervisor_ends_them_all(tmp_path: Path, stack: ExitStack) -> None:
    """When the socket to the zygote closes, it kills its children and exits."""
    zygote = ZygoteClient.start(tmp_path)
    _, child = fork(zygote, stack)
    parent = child.parent()

    zygote.close()

    assert parent is not None
    _, alive = psutil.wait_procs([child, parent], timeout=10)
    assert alive == []


def test_names_of_sockets_tell_slots_and_children_apart() -> None:
    """Two slots of a machine have random prefixes, and each child a number."""
    names = {process.socket_name(prefix, number) for prefix in ("ab", "cd") for number in (1, 2)}

    assert len(names) == 4
