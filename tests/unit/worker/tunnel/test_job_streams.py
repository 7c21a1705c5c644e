"""Streams to jobs of a slot: only to the job's ports, and no longer than the job."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from picloud_model.wire import AttemptRef, Info, LiveQuery, TunnelOrder
from picloud_model.wire.tunnel import ACCEPTED
from picloud_worker.tunnel.job_streams import JobStreams

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = AttemptRef("b" * 32, 0, 1)
TICKET = "pt_ticket"


@pytest.fixture
def listeners() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A job's listener, and a gateway's."""
    with (
        socket.create_server(("127.0.0.1", 0)) as job,
        socket.create_server(("127.0.0.1", 0)) as gateway,
    ):
        job.settimeout(10)
        gateway.settimeout(10)
        yield job, gateway


def query(job: socket.socket, gateway: socket.socket) -> LiveQuery:
    """Return what a slot is asked."""
    order = TunnelOrder(job.getsockname()[1], gateway.getsockname()[1], TICKET)
    return LiveQuery(1, JOB, {}, order)


def test_a_stream_lasts_as_long_as_its_job(
    listeners: tuple[socket.socket, socket.socket],
) -> None:
    """The slot dials the gateway with the ticket; when the job has ended both ends close."""
    job, gateway = listeners
    streams = JobStreams("http://127.0.0.1:1/")

    asked = query(job, gateway)
    assert asked.tunnel is not None
    streams.open(asked, Info(ports={"tcp": [asked.tunnel.port], "udp": []}))

    local, _ = job.accept()
    remote, _ = gateway.accept()
    for each in (local, remote):
        each.settimeout(10)
    assert remote.recv(100) == TICKET.encode() + b"\n"
    remote.sendall(ACCEPTED + b"to the job")
    assert local.recv(100) == b"to the job"
    local.sendall(b"from the job")
    assert remote.recv(100) == b"from the job"

    streams.end_unless(lambda ref: ref == JOB)
    local.sendall(b"still")
    assert remote.recv(100) == b"still"
    streams.end_unless(lambda _ref: False)
    assert (local.recv(1), remote.recv(1)) == (b"", b"")
    until(lambda: not streams._streams, "nothing is kept")
    local.close()
    remote.close()


@pytest.mark.parametrize("info", [None, Info(), Info(ports={"tcp": [], "udp": []})])
def test_nothing_is_opened_to_other_ports(
    listeners: tuple[socket.socket, socket.socket], info: Info | None
) -> None:
    """The job has ended, or the port belongs to another process: no thread begins."""
    job, gateway = listeners
    before = threading.active_count()

    JobStreams("http://127.0.0.1:1/").open(query(job, gateway), info)

    assert threading.active_count() == before
