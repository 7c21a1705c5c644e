"""Streams to jobs of a slot: only to the job's ports, and no longer than the job."""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_model.wire import (
    AttemptRef,
    Info,
    LiveQuery,
    SshOrder,
    Stream,
    TunnelOrder,
    pack_info,
)
from picloud_model.wire.tunnel import ACCEPTED
from picloud_worker.tunnel.job_streams import JobStreams
from picloud_worker.tunnel.shell_order import ShellOrder, ShellPlace

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = AttemptRef("b" * 32, 0, 1)
TICKET = "pt_ticket"


class RecordingStarter:
    """Records which shell servers it is to start and to end, and reads their orders."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def start_shell(self, child_index: int, stream: int, order: int) -> None:
        """Record a start."""
        with socket.socket(fileno=os.dup(stream)) as connected:
            connected.sendall(b"SSH-2.0-test")
        self.calls.append((child_index, ShellOrder.read(os.dup(order))))

    def end_shells(self, child_index: int) -> None:
        """Record an end."""
        self.calls.append(child_index)


class RunningJob:
    """A job that runs here."""

    def __init__(self, place: ShellPlace) -> None:
        self._place = place

    def shell_place(self) -> ShellPlace:
        return self._place


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
    streams = JobStreams("http://127.0.0.1:1/", RecordingStarter(), lambda _: None)

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

    streams = JobStreams("http://127.0.0.1:1/", RecordingStarter(), lambda _: None)
    streams.open(query(job, gateway), info)

    assert threading.active_count() == before


def test_a_job_is_examined_once_for_clients_that_connect_together(
    listeners: tuple[socket.socket, socket.socket],
) -> None:
    """Each of 50 gets an answer and a stream; who follows an output gets what is new in it."""
    job, gateway = listeners
    streams = JobStreams("http://127.0.0.1:1/", RecordingStarter(), lambda _: None)
    info = Info(ports={"tcp": [job.getsockname()[1]], "udp": []})
    new = Info(streams={"stdout": Stream(7, b"new")})
    examined: list[LiveQuery] = []

    def live(asked: LiveQuery) -> Info:
        examined.append(asked)
        return new if asked.since else info

    asked = msgspec.structs.replace(query(job, gateway), number=0)
    queries = [msgspec.structs.replace(asked, number=number) for number in range(50)]
    queries.insert(20, LiveQuery(50, JOB, {"stdout": 7}))
    answers = streams.answer(queries, live)

    assert [each.number for each in answers] == [*range(20), 50, *range(20, 50)]
    assert {each.info for each in answers} == {pack_info(info), pack_info(new)}
    assert len(examined) == 2
    for _ in range(50):
        gateway.accept()[0].close()


def test_jobs_that_nobody_reaches_into_cost_nothing() -> None:
    """The supervisor calls it in each of its turns: without a stream no job is looked up."""
    starter = RecordingStarter()
    streams = JobStreams("http://127.0.0.1:1/", starter, pytest.fail)
    before = threading.active_count()

    for _ in range(100):
        streams.end_unless(pytest.fail)
        streams.open(LiveQuery(1, JOB, {}), Info(ports={"tcp": [8000], "udp": []}))

    assert (starter.calls, threading.active_count()) == ([], before)


def test_a_shell_server_gets_the_stream_and_ends_with_its_job(
    listeners: tuple[socket.socket, socket.socket],
) -> None:
    """It is started for the child that runs the job, with the order; a job that has ended has none.

    The supervisor keeps no end of the stream.
    """
    _, gateway = listeners
    starter = RecordingStarter()
    variables = {"PICLOUD_JID": "7"}
    jobs = {JOB: RunningJob(ShellPlace(3, variables))}
    streams = JobStreams("http://server.invalid:1/", starter, jobs.get)
    ssh = SshOrder("ssh-ed25519 A", "a0000001-job-7", "host key")
    # Several machines may share the URL of the server: the order names the one of the gateway.
    port = gateway.getsockname()[1]
    order = TunnelOrder(
        port=22, gateway_port=port, ticket=TICKET, ssh=ssh, gateway_host="127.0.0.1"
    )

    streams.open(LiveQuery(1, JOB, {}, order), Info())
    remote, _ = gateway.accept()
    remote.settimeout(10)
    assert remote.recv(100) == TICKET.encode() + b"\n"
    remote.sendall(ACCEPTED)

    assert remote.recv(100) == b"SSH-2.0-test"
    until(lambda: len(starter.calls) == 1, "the server was started")
    assert starter.calls == [(3, ShellOrder(ssh, variables))]
    assert remote.recv(1) == b""
    remote.close()
    streams.end_unless(lambda _ref: True)
    streams.end_unless(lambda _ref: False)
    streams.end_unless(lambda _ref: False)
    assert starter.calls[1:] == [3]
    other = AttemptRef("c" * 32, 0, 1)
    before = threading.active_count()
    streams.open(LiveQuery(2, other, {}, order), Info())
    assert threading.active_count() == before
