"""A connection to a real socket, and the heads of requests."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from picloud_driver.authority import Authority
from picloud_http.connection import CertificateRefusedError, Connection, head_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@contextmanager
def listening(
    answers: int, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[int]]]:
    """Answer so many requests of each connection, then close it; yields the URL and the counts."""
    served: list[int] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                    if context is not None:
                        connection = context.wrap_socket(connection, server_side=True)
                except ssl.SSLError:
                    continue
                except OSError:
                    return
                with connection:
                    served.append(0)
                    while served[-1] < answers and connection.recv(65536):
                        connection.sendall(OK)
                        served[-1] += 1

        thread = threading.Thread(target=serve)
        thread.start()
        scheme = "https" if context is not None else "http"
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", served
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def ask(connection: Connection) -> bytes:
    """Send a request and return the body of the response."""
    connection.open()
    connection.send(head_of("GET", "/", {"host": connection.host_header}), None)
    return connection.response().read()


def test_a_connection_is_used_again() -> None:
    """Two requests need one connection."""
    with listening(2) as (url, served), closing(Connection(url)) as connection:
        assert [ask(connection), ask(connection)] == [b"hi", b"hi"]

    assert served == [2]


def test_what_the_server_has_closed_is_opened_anew() -> None:
    """It is noticed before a request is sent, so none is lost."""
    with listening(1) as (url, served), closing(Connection(url)) as connection:
        assert ask(connection) == b"hi"
        assert connection.socket is not None
        assert connection.socket.recv(1, socket.MSG_PEEK) == b""  # the server has closed it

        assert ask(connection) == b"hi"

    assert served == [1, 1]


def test_a_closed_connection_sends_nothing() -> None:
    """It has to be opened first."""
    connection = Connection("http://127.0.0.1:1")

    with pytest.raises(OSError, match="closed"):
        connection.send(b"GET / HTTP/1.1\r\n\r\n", None)
    with pytest.raises(OSError, match="closed"):
        connection.response()


def test_a_certificate_that_nobody_trusts_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to such a server."""
    authority = Authority(tmp_path / "tls")
    assert authority.renew("server", ["127.0.0.1"])
    files = authority.files("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert_file, files.key_file)
    with (
        listening(1, context) as (url, served),
        closing(Connection(url)) as connection,
        pytest.raises(CertificateRefusedError),
    ):
        ask(connection)

    assert served == []


def test_a_server_without_tls_is_named() -> None:
    """Where a URL begins with https by mistake, the error says so."""
    with (
        listening(1) as (url, _),
        closing(Connection(url.replace("http:", "https:"))) as connection,
        pytest.raises(CertificateRefusedError, match="http and not https"),
    ):
        ask(connection)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb: c", "a\r"])
def test_no_header_becomes_two(value: str) -> None:
    """A line break in a header or the path is refused."""
    with pytest.raises(ValueError, match="line break"):
        head_of("GET", "/", {"a": value})
    with pytest.raises(ValueError, match="line break"):
        head_of("GET", f"/{value}", {})
