"""The HTTP server of the fake API."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from picloud_model import wire

if TYPE_CHECKING:
    from tests.unit.worker.fake_api import FakeApi


class Server(ThreadingHTTPServer):
    """Listens on loopback, and can close all connections at once."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, handler: type[Handler]) -> None:
        self._connections: set[Any] = set()
        super().__init__(("127.0.0.1", port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        self.RequestHandlerClass.fake.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(2)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that a test kills."""


class Handler(BaseHTTPRequestHandler):
    """Passes each request to a fake API."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    fake: FakeApi

    def do_POST(self) -> None:
        status, answer = self.fake.answer(self.path, self._body())
        if self.fake.drop_answers and self.path == "/v1/work":
            self.fake.drop_answers -= 1
            self.close_connection = True
            return
        self._send(status, wire.encode(answer))

    def do_GET(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.fake.requests.append((self.path, dict(self.headers)))
        if self.path.startswith("/v1/") and "get" in self.fake.presigned:
            self.send_response(307)
            self.send_header("location", self.fake.presigned["get"] + digest)
            self.send_header("content-length", "0")
            self.end_headers()
        elif digest in self.fake.blobs:
            self._send(200, self.fake.blobs[digest])
        else:
            self._send(404, wire.encode(wire.Problem(code="blob.missing", message="no such blob")))

    def do_PUT(self) -> None:
        self.fake.requests.append((self.path, dict(self.headers)))
        data = self._body()
        if self.fake.refusals:
            self._send(*self.fake.refusals.pop())
        else:
            self.fake.store(data)
            self._send(200, b"")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["content-length"]))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Write no log."""
