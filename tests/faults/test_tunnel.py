"""What carries streams to jobs is killed under load: they end at once, and new ones begin."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import psutil
from cloud import tunnel, wait_for

from tests.current_client import current_client
from tests.e2e.stacks import kill
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S = 60.0
END_S = 2.0
"""How long streams may outlive what carries them."""
STREAMS = 8


def echo() -> None:
    """A job that sends back what each of its connections sends."""

    def serve(connected: socket.socket) -> None:
        with connected:
            while data := connected.recv(65536):
                connected.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as server:
        while True:
            accepted, _ = server.accept()
            threading.Thread(target=serve, args=(accepted,), daemon=True).start()


class Load:
    """Streams to a job, through its public port and by tickets, that carry bytes all the time."""

    def __init__(self, jid: int, port: int) -> None:
        public = wait_for.port(jid, port, timeout=WAIT_S)
        address = (public["address"], public["port"])
        self._threads = [
            threading.Thread(target=self._use, args=(connected,))
            for connected in [
                *(tunnel.connect(jid, port) for _ in range(STREAMS)),
                *(socket.create_connection(address, WAIT_S) for _ in range(STREAMS)),
            ]
        ]
        self.echoed = 0
        for each in self._threads:
            each.start()
        until(lambda: self.echoed > 10 * len(self._threads), "the streams carry bytes", WAIT_S)

    def _use(self, connected: socket.socket) -> None:
        connected.settimeout(WAIT_S)
        piece = bytes(16384)
        with connected, contextlib.suppress(ConnectionError):
            while True:
                connected.sendall(piece)
                if not connected.recv(len(piece), socket.MSG_WAITALL):
                    return
                self.echoed += 1

    def assert_ended_by(self, deadline: float) -> None:
        """Check that all of them have ended by a time."""
        for each in self._threads:
            each.join(max(0.0, deadline - time.monotonic()))
        assert not [each for each in self._threads if each.is_alive()]


def listening(client: Client) -> tuple[int, int]:
    """Return a new job that echoes, and its port."""
    jid = int(client.call(echo))
    until(lambda: _ports(client, jid), "the job listens", WAIT_S)
    return jid, _ports(client, jid)[0]


def _ports(client: Client, jid: int) -> list[int]:
    ports = client.info(jid, "ports")[jid]["ports"] or {}
    return [*ports.get("tcp", {})]


def test_streams_end_with_what_carries_them(begin: Callable[..., Stack]) -> None:
    """A gateway, a job, the API and slots are killed in turn. What is not killed goes on."""
    stack = begin()
    with contextlib.closing(stack.client(patient=True)) as client, current_client(client):
        jid, port = listening(client)
        load = Load(jid, port)
        (gateway,) = _gateways(stack)
        kill(gateway)
        load.assert_ended_by(time.monotonic() + END_S)
        until(lambda: gateway not in _children(stack), "the API knows that it has ended")

        # The job has not noticed: its ports are reached through a new gateway.
        load = Load(jid, port)
        (another,) = _gateways(stack)
        assert another != gateway
        client.kill(jid)
        load.assert_ended_by(time.monotonic() + END_S)

        jid, port = listening(client)
        load = Load(jid, port)
        (last,) = _gateways(stack)
        stack.kill9_api()
        load.assert_ended_by(time.monotonic() + END_S)
        psutil.wait_procs([last], WAIT_S)
        assert not last.is_running()

        # The job goes on, and is reached again when there is a server.
        stack.start()
        until(lambda: _ports(client, jid), "its slot answers", WAIT_S)
        load = Load(jid, port)
        slots = stack.slots()
        for each in slots:
            kill(each)
        psutil.wait_procs(slots, WAIT_S)
        load.assert_ended_by(time.monotonic() + END_S)
        stack.kill9()


def _children(stack: Stack) -> list[psutil.Process]:
    return [each for process in stack.api() for each in process.children()]


def _gateways(stack: Stack) -> list[psutil.Process]:
    return [each for each in _children(stack) if "picloud_gateway" in each.cmdline()]
