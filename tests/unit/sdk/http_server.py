"""The fake server behind a real socket."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cloud._http.exchange import HttpRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sdk.fake_server import FakeServer


@contextmanager
def served(server: FakeServer) -> Iterator[str]:
    """Listen on a free port of this machine and pass requests on; the URL to send them to.

    A path in front of `/v1` is cut off, so that one server can be reached by several URLs.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path = self.path[self.path.index("/v1") :]
            reply = server.exchange(
                HttpRequest(
                    method="POST", url=path, headers=dict(self.headers), body=body, timeout_s=5.0
                )
            )
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            """Keep standard error for the test's own output."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}"
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
