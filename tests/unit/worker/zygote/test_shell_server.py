"""Shell servers: forked by the zygote for the job of a child, and ended with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import asyncssh
import psutil
import pytest
from picloud_model.wire import SshOrder
from picloud_worker.ipc.claims import Claims
from picloud_worker.tunnel.shell_order import ShellOrder
from picloud_worker.zygote.client import ZygoteClient

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def zygote(tmp_path: Path) -> Iterator[ZygoteClient]:
    """A zygote of this process."""
    client = ZygoteClient.start(tmp_path)
    yield client
    client.close()


@pytest.fixture
def start(zygote: ZygoteClient) -> Iterator[Callable[[int], socket.socket]]:
    """Start a shell server for a child; return the client's end of its stream."""
    host = asyncssh.generate_private_key("ssh-ed25519")
    order = ShellOrder(
        SshOrder(host.export_public_key().decode(), "a-job-1", host.export_private_key().decode()),
        {"PICLOUD_JID": "1"},
    )
    with ExitStack() as opened:

        def started(child_index: int) -> socket.socket:
            ours, theirs = (opened.enter_context(end) for end in socket.socketpair())
            ours.settimeout(60)
            descriptor = order.written()
            zygote.start_shell(child_index, theirs.fileno(), descriptor)
            os.close(descriptor)
            theirs.close()
            return ours

        yield started


@pytest.fixture
def child(zygote: ZygoteClient) -> Iterator[tuple[int, psutil.Process]]:
    """A child that waits for an assignment: its index and its process."""
    ours, theirs = socket.socketpair()
    claims = Claims()
    reader, writer = os.pipe()
    with Path(os.devnull).open("w") as null:
        index = zygote.fork([theirs.fileno(), claims.reader, writer, *[null.fileno()] * 3])
    theirs.close()
    os.close(writer)
    pid = until(lambda: zygote.scoreboard.pid(index), "the child is registered")
    yield index, psutil.Process(pid)
    claims.close()
    os.close(reader)
    ours.close()


def test_a_server_is_a_process_of_its_own(
    child: tuple[int, psutil.Process], start: Callable[[int], socket.socket]
) -> None:
    """In the directory of the child and in a session of its own, with no descriptor of the zygote.

    It ends when asked to, with its stream.
    """
    index, process = child

    stream = start(index)

    assert stream.recv(8) == b"SSH-2.0-"
    zygote_process = process.parent()
    assert zygote_process is not None
    (server,) = [each for each in zygote_process.children() if each.pid != process.pid]
    assert server.cwd() == process.cwd()
    assert os.getsid(server.pid) == server.pid
    assert server.environ() == {}
    # Standard streams, the stream, and what asyncio opens: a selector and two sockets.
    assert server.num_fds() <= 8


def test_servers_end_with_their_job(
    zygote: ZygoteClient,
    child: tuple[int, psutil.Process],
    start: Callable[[int], socket.socket],
) -> None:
    """When its end is reported, and when its child exits; the child itself goes on."""
    index, process = child
    stream = start(index)
    assert stream.recv(8) == b"SSH-2.0-"

    zygote.end_shells(index)

    while stream.recv(4096):
        pass
    assert process.is_running()
    stream = start(index)
    assert stream.recv(8) == b"SSH-2.0-"
    zygote.signal(index, signal.SIGKILL)
    while stream.recv(4096):
        pass


def test_a_program_may_be_missing_for_a_moment(tmp_path: Path) -> None:
    """The root directory of a job has no programs while its volumes are mounted."""
    program = tmp_path / "program"
    script = (
        "import sys; from picloud_worker.zygote.shell_server import replace_process\n"
        "print('begun', flush=True); replace_process(sys.argv[1], ['echo', 'there'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(program)], stdout=subprocess.PIPE, text=True
    ) as replaced:
        assert replaced.stdout is not None
        assert replaced.stdout.readline() == "begun\n"
        program.symlink_to("/bin/echo")
        assert replaced.stdout.read() == "there\n"


def test_no_server_without_a_job(start: Callable[[int], socket.socket]) -> None:
    """The stream closes at once."""
    assert start(5).recv(1) == b""
