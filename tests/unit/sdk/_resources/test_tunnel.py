"""Streams to jobs: where the client connects, and what it says when it cannot."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from cloud._config.configuration import Config
from cloud._http.transport import ServerAddress, Transport
from cloud._resources.tunnel import opened_stream
from cloud.errors import CloudConnectionError, CloudException
from picloud_model.wire.tunnel import ACCEPTED, TunnelOpened

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def gateway() -> Iterator[socket.socket]:
    """What listens in place of a gateway, at another address than the server."""
    with socket.create_server(("127.0.0.2", 0)) as listener:
        listener.settimeout(10)
        yield listener


def transport(url: str) -> Transport:
    """What requests to a server are sent by."""
    return Transport(ServerAddress(url, "pk_12ab_secret"), Config())


def opened(gateway: socket.socket, answer: bytes, url: str, host: str = "") -> socket.socket:
    """Return a stream through a gateway that sends an answer to its ticket."""

    def serve() -> None:
        accepted, _ = gateway.accept()
        with accepted:
            assert accepted.recv(100) == b"pt_ticket\n"
            accepted.sendall(answer)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        reply = TunnelOpened(port=gateway.getsockname()[1], ticket="pt_ticket", host=host)
        return opened_stream(transport(url), reply, 7)
    finally:
        serving.join()


def test_the_gateway_is_at_the_host_that_is_named(gateway: socket.socket) -> None:
    """Several machines may share the URL of the server: without a name it is that of the URL."""
    for url, host in (("http://127.0.0.2:1", ""), ("http://server.invalid:1", "127.0.0.2")):
        with opened(gateway, ACCEPTED + b"hello", url, host) as stream:
            assert stream.recv(5, socket.MSG_WAITALL) == b"hello"


def test_what_a_gateway_says_is_the_error(gateway: socket.socket) -> None:
    """It names the job."""
    with pytest.raises(CloudException, match=r"The slot of the job did not connect.*7|7.*The slot"):
        opened(gateway, b"The slot of the job did not connect within 10 s.\n", "http://127.0.0.2:1")


def test_a_gateway_that_cannot_be_reached() -> None:
    """The error says where it was expected."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reply = TunnelOpened(port=port, ticket="pt_ticket")

    with pytest.raises(CloudConnectionError, match=f"gateway at 127.0.0.1:{port} cannot be"):
        opened_stream(transport("http://127.0.0.1:1"), reply, 7)
