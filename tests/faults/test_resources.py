"""Resources that are used up: file descriptors, for a while."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psutil

    from tests.e2e.stacks import Stack

CONNECTIONS = 40


@contextmanager
def no_more_files(process: psutil.Process) -> Iterator[None]:
    """Let a process open two more files, until the block ends."""
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    limit = process.num_fds() + 2
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)


def test_an_api_without_file_descriptors_serves_later(begin: Callable[..., Stack]) -> None:
    """Who is connected is served, others wait; once there are descriptors again, all are served by
    the same process, and no job was lost.
    """
    stack = begin()
    client = stack.client(patient=True)
    assert client.result(client.call(abs, -1), 60) == 1
    _, worker = stack.api()

    with ExitStack() as opened:
        with no_more_files(worker):
            for _ in range(CONNECTIONS):
                address = "127.0.0.1", int(stack.url.rpartition(":")[2])
                opened.enter_context(socket.create_connection(address, 10))
            jids = client.map(abs, range(-20, 0))
            statuses = client.status(jids)
        assert len(statuses) == 20
        assert client.result(jids, 60) == list(range(20, 0, -1))

    newcomer = stack.client()
    assert newcomer.result(newcomer.call(abs, -2), 60) == 2
    assert worker in stack.api()
    newcomer.close()
    client.close()


def test_a_slot_without_file_descriptors_loses_no_job(begin: Callable[..., Stack]) -> None:
    """Jobs end with their results, whatever becomes of the slot."""
    stack = begin(slots=1)
    client = stack.client(patient=True)
    assert client.result(client.call(abs, -1), 60) == 1
    slot = until(stack.slots, "there is a slot")[0]

    with no_more_files(slot):
        jids = client.map(lambda number: bytes([number]) * 300_000, range(10))
        until(lambda: client.status(jids[-1]) != "queued" or not slot.is_running(), "it is tried")

    assert client.result(jids, 60) == [bytes([number]) * 300_000 for number in range(10)]
    client.close()
