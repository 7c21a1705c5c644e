"""Connections to a real socket."""

from __future__ import annotations

import gzip
import io
import os
import socket
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from cloud._http.connections import Connections
from cloud._http.exchange import HttpRequest, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable


def get(timeout_s: float = 5.0) -> HttpRequest:
    """A request for the root."""
    return HttpRequest(method="GET", url="/", headers={}, timeout_s=timeout_s)


@contextmanager
def _listening(answer: Callable[[socket.socket], object]):
    """A socket that accepts connections and hands each to `answer`, until the test ends."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def _whole(connection: socket.socket):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


def test_connections_carry_a_request() -> None:
    """Bytes out, status and bytes in; a path in the server's URL is kept."""
    heard = []

    def answer(connection: socket.socket):
        heard.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    with _listening(answer) as url, closing(Connections(f"{url}/prefix")) as connections:
        reply = connections.exchange(
            HttpRequest(
                method="POST", url="/v1/jobs", headers={"A": "b"}, body=b"body", timeout_s=5.0
            )
        )

    assert (reply.status, reply.body) == (200, b"hi")
    assert heard[0].startswith(b"POST /prefix/v1/jobs HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: None,
        lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"),
        lambda connection: connection.sendall(b"not HTTP at all\r\n\r\n"),
    ],
    ids=["closed", "cut short", "nonsense"],
)
def test_an_incomplete_reply_is_none(answer: Callable[[socket.socket], object]) -> None:
    """A connection that breaks at any point raises NoAnswer."""

    def read_then(connection: socket.socket):
        connection.recv(65536)
        answer(connection)

    with (
        _listening(read_then) as url,
        closing(Connections(url)) as connections,
        pytest.raises(NoAnswer),
    ):
        connections.exchange(get())


def test_a_refused_connection_has_a_readable_reason() -> None:
    """The reason is for people: it has no class names and no memory addresses."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with (
        closing(Connections(url)) as connections,
        pytest.raises(NoAnswer, match="refused") as error,
    ):
        connections.exchange(get())

    assert "0x" not in str(error.value)
    assert "Errno" not in str(error.value)


def test_a_silent_server_is_given_up() -> None:
    """A request ends after its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with closing(Connections(url)) as connections, pytest.raises(NoAnswer, match="timed out"):
            connections.exchange(get(0.1))


def test_another_process_opens_connections_of_its_own() -> None:
    """After a fork the parent's sockets are left alone."""
    opened = []

    def answer(connection: socket.socket):
        opened.append(connection.getpeername())
        _whole(connection)

    with _listening(answer) as url, closing(Connections(url)) as connections:
        connections.exchange(get())
        pool = connections._idle
        child = os.fork()
        if child == 0:
            status = 0
            with suppress(BaseException):
                status = connections.exchange(get()).status
            os._exit(0 if status == 200 and connections._idle is not pool else 1)

        assert os.waitpid(child, 0)[1] == 0
        assert connections._idle is pool

    assert len(opened) == 2


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 999999999999\r\n", b"Content-Length: " + b"9" * 30 + b"\r\n"],
)
def test_a_reply_that_is_too_large_is_not_read(head: bytes) -> None:
    """A server cannot fill the memory of its client."""

    def answer(connection: socket.socket):
        connection.recv(65536)
        with suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * 1000)

    with (
        _listening(answer) as url,
        closing(Connections(url)) as connections,
        pytest.raises(NoAnswer, match="too large"),
    ):
        connections.exchange(get())


def test_a_compressed_reply_is_not_expanded() -> None:
    """No server of ours compresses, and a small body could become a huge one."""
    body = gzip.compress(b"x" * 100_000)

    def answer(connection: socket.socket):
        connection.recv(65536)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with _listening(answer) as url, closing(Connections(url)) as connections:
        assert connections.exchange(get()).body == body


class _Long:
    """A body of 1 MiB in blocks, which counts how often it was opened."""

    size = 1024 * 1024

    def __init__(self) -> None:
        self.opened = 0

    def open(self) -> io.BytesIO:
        self.opened += 1
        return io.BytesIO(b"x" * self.size)


def test_a_long_body_is_sent_from_its_beginning_each_time() -> None:
    """Its length is announced, and each attempt reads it anew."""
    received: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        data = b""
        while len(data.partition(b"\r\n\r\n")[2]) < _Long.size:
            data += connection.recv(65536)
        received.append(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    body = _Long()
    request = HttpRequest(method="PUT", url="/", headers={}, body=body, timeout_s=5.0)
    with _listening(answer) as url, closing(Connections(url)) as connections:
        for _ in range(2):
            assert connections.exchange(request).status == 200

    assert body.opened == 2
    for data in received:
        assert f"Content-Length: {_Long.size}".lower().encode() in data.lower()
        assert data.endswith(b"x" * _Long.size)
