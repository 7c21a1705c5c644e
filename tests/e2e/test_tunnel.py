"""Tunnels: connections to ports of jobs, on every stack."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, shortcuts, tunnel
from cloud._resources.tunnel import TunnelClient

from tests.current_client import current_client
from tests.e2e.command_line import PICLOUD
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

WAIT_S = 60.0
PORTS_S = 30.0


def echo(path: str) -> str:
    """A job that sends back what each connection sends, until a file exists."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        while not Path(path).exists():
            try:
                connected, _ = server.accept()
            except TimeoutError:
                continue
            with connected:
                connected.settimeout(30)
                while data := connected.recv(65536):
                    connected.sendall(data)
                connected.sendall(b"|end")
    return "done"


def relay(jid: int, port: int) -> bytes:
    """A job that talks with another job."""
    import cloud

    with cloud.connect(jid, port) as connected:
        connected.sendall(b"from a job")
        connected.shutdown(socket.SHUT_WR)
        return read_all(connected)


def read_all(connected: socket.socket) -> bytes:
    """Return what arrives until the other end has sent its last byte."""
    data = b""
    while piece := connected.recv(65536):
        data += piece
    return data


class Echo:
    """A job that runs `echo`, and its port."""

    def __init__(self, client: Client, stop: Path) -> None:
        self.stop = stop
        self.jid = int(client.call(echo, str(stop)))
        self.port = 0
        self._client = client
        until(self._find_port, "the job listens", timeout_s=PORTS_S)

    def _find_port(self) -> bool:
        ports = self._client.info(self.jid, "ports")[self.jid]["ports"] or {}
        self.port = next(iter(ports.get("tcp", ())), 0)
        return bool(self.port)


@pytest.fixture
def echoing(client: Client, stack: Stack, tmp_path: Path) -> Iterator[Echo]:
    """A job that listens; `cloud` uses the client that made it."""
    job = Echo(client, stack.shared / f"stop-{os.getpid()}-{tmp_path.name}")
    with current_client(client):
        yield job
    job.stop.touch()


@pytest.mark.containers
def test_bytes_in_both_directions(client: Client, echoing: Echo) -> None:
    """More than all buffers hold arrives unchanged; an end may be the first to send its last."""
    payload = os.urandom(65536) * 64

    with tunnel.connect(echoing.jid, echoing.port) as connected:
        head = payload[:1000]
        connected.sendall(head)
        assert connected.recv(1000, socket.MSG_WAITALL) == head
        received = bytearray()
        for start in range(0, len(payload), 65536):
            connected.sendall(payload[start : start + 65536])
            received += connected.recv(65536, socket.MSG_WAITALL)
        connected.shutdown(socket.SHUT_WR)
        assert read_all(connected) == b"|end"
    assert bytes(received) == payload

    # From another job, whose credential is its token.
    relayed = client.result(client.call(relay, echoing.jid, echoing.port), WAIT_S)
    assert relayed == b"from a job|end"


def test_a_forwarded_port(echoing: Echo) -> None:
    """Each connection to the local port is one to the job."""
    with tunnel.forward(echoing.jid, echoing.port) as forwarded:
        for text in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", forwarded.port), 10) as connected:
                connected.sendall(text)
                connected.shutdown(socket.SHUT_WR)
                assert read_all(connected) == text + b"|end"


def test_streams_end_with_their_job(client: Client, echoing: Echo) -> None:
    """A killed job closes its streams; then there is nothing to connect to."""
    with tunnel.connect(echoing.jid, echoing.port) as connected:
        connected.settimeout(30)
        connected.sendall(b"x")
        assert connected.recv(1) == b"x"

        client.kill(echoing.jid)

        with contextlib.suppress(ConnectionResetError):  # that closes it as well
            assert connected.recv(1) == b""
    with pytest.raises(CloudException, match=f"Job {echoing.jid} has ended"):
        tunnel.connect(echoing.jid, echoing.port)


def test_the_command_forwards_until_the_job_ends(
    client: Client, stack: Stack, echoing: Echo
) -> None:
    """It prints the local address, and exits when nothing is left to connect to."""
    command = [PICLOUD, "forward", str(echoing.jid), f"{echoing.port}:0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=stack.environment(), text=True, **pipes) as running:
        assert running.stdout is not None
        host, _, port = running.stdout.readline().strip().partition(":")
        with socket.create_connection((host, int(port)), 10) as connected:
            connected.sendall(b"x")
            assert connected.recv(1) == b"x"

        client.kill(echoing.jid)

        _, errors = running.communicate(timeout=WAIT_S)
    assert running.returncode == 0
    assert f"Job {echoing.jid} has ended." in errors


def test_only_ports_of_the_own_job(other: Client, echoing: Echo) -> None:
    """Neither a port that another process listens on, nor another account's job, is reached."""
    with socket.create_server(("127.0.0.1", 0)) as another:
        port = another.getsockname()[1]
        with pytest.raises(CloudException, match=f"does not listen on TCP port {port}"):
            tunnel.connect(echoing.jid, port)

    # The other account has no job of this number, or another one.
    with pytest.raises(CloudException):
        TunnelClient(other.transport).connect(echoing.jid, echoing.port)


def serve_one_page(port: int) -> None:
    """The job of the promise: "Opens port 8000 and listens for HTTP request. Only one request is
    handled before function returns."
    """
    from http.server import BaseHTTPRequestHandler, HTTPServer

    HTTPServer(("", port), BaseHTTPRequestHandler).handle_request()


@pytest.mark.containers
def test_a_web_server_is_reached_at_the_address_that_is_named(client: Client) -> None:
    """The promise: "As you can see, to access the listening socket on port 8000, you would go to"
    another address and port; "Note that you'll see a 501 error page".
    """
    with socket.create_server(("", 0)) as free:
        inner = free.getsockname()[1]
    with current_client(client):
        jid = client.call(serve_one_page, inner, _ports={inner: "public"})
        reached = shortcuts.get_connection_info(jid, inner, timeout=WAIT_S)

        assert client.info(jid, "ports")[jid]["ports"] == {"tcp": {inner: reached}, "udp": {}}
        assert reached["port"] != inner
        web = http.client.HTTPConnection(reached["address"], reached["port"], timeout=WAIT_S)
        web.request("GET", "/")
        assert web.getresponse().status == 501
        web.close()
        client.result(jid, WAIT_S)


def test_a_private_port_has_no_address(
    client: Client, stack: Stack, picloud: Callable[..., Exited]
) -> None:
    """It is listed, as one of UDP is, and the command prints nothing to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        inner = free.getsockname()[1]
    program = (
        f"import socket, time; udp = socket.socket(type=socket.SOCK_DGRAM); "
        f"udp.bind(('127.0.0.1', {inner})); tcp = socket.create_server(('127.0.0.1', {inner})); "
        "time.sleep(1000)"
    )
    command = f'exec python3 -c "{program}"'
    jid = int(picloud("exec", "--port", f"{inner}:private", command).out)

    waited = picloud("wait-for", "port", str(jid), str(inner), "--timeout", str(WAIT_S))

    assert (waited.code, waited.out) == (0, "")
    nowhere = {inner: {"address": None, "port": None}}
    assert client.info(jid, "ports")[jid]["ports"] == {"tcp": nowhere, "udp": nowhere}
    client.kill(jid)
