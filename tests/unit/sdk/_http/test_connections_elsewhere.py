"""Requests to other servers than the API, over real sockets."""

from __future__ import annotations

import io
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from cloud._http.connections import Connections
from cloud._http.exchange import HttpRequest, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator


NOBODY = "http://127.0.0.1:1"


class _Store(BaseHTTPRequestHandler):
    """Answers with what it was sent, and redirects no request."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, body, {"ETag": self.headers.get("X-Tag", "")})

    def do_GET(self) -> None:
        if self.path == "/away":
            self._answer(302, b"", {"Location": "/elsewhere"})
        else:
            self._answer(200, self.path.encode(), {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def store() -> Iterator[str]:
    """Serve until the end of the block; yields the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Store)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


class _Long:
    """A body that is read piece by piece."""

    size = 300_000

    def open(self) -> io.BytesIO:
        return io.BytesIO(b"x" * self.size)


def _request(method: str, url: str, **named: object) -> HttpRequest:
    return HttpRequest(method=method, url=url, timeout_s=5.0, **{"headers": {}, **named})


def test_an_absolute_url_leads_to_its_own_server() -> None:
    """The server's own address, which listens nowhere, is not asked."""
    with store() as url, closing(Connections(NOBODY)) as connections:
        reply = connections.exchange(_request("GET", f"{url}/bucket/key?signed=1"))

    assert (reply.status, reply.body) == (200, b"/bucket/key?signed=1")


def test_a_body_is_sent_whole_or_in_pieces() -> None:
    """Names of headers come back in lower case, as they do from the API."""
    with store() as url, closing(Connections(NOBODY)) as connections:
        short = connections.exchange(_request("PUT", url, body=b"abc", headers={"X-Tag": "t"}))
        long = connections.exchange(_request("PUT", url, body=_Long()))

    assert (short.body, short.headers["etag"]) == (b"abc", "t")
    assert long.body == b"x" * _Long.size


def test_a_redirect_is_not_followed() -> None:
    """The caller decides whom to send what."""
    with store() as url, closing(Connections(NOBODY)) as connections:
        reply = connections.exchange(_request("GET", f"{url}/away"))

    assert (reply.status, reply.headers["location"]) == (302, "/elsewhere")


def test_nobody_at_the_address_is_no_answer() -> None:
    """The reason is for a person."""
    with closing(Connections(NOBODY)) as connections, pytest.raises(NoAnswer, match="refused"):
        connections.exchange(_request("GET", "http://127.0.0.1:1/x"))
