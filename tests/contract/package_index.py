"""A package index on this machine, which counts its requests."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class PackageIndex(http.server.ThreadingHTTPServer):
    """Serves the wheels of a directory as an index of Python packages.

    Args:
        wheels: The directory.
    """

    daemon_threads = True

    def __init__(self, wheels: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheels = wheels
        self.requests: list[str] = []
        """The paths that were requested."""

    @property
    def url(self) -> str:
        """The URL of the index."""
        return f"http://127.0.0.1:{self.server_port}/simple/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PackageIndex

    def do_GET(self) -> None:
        """Send the page of a package, or a wheel."""
        self.server.requests.append(self.path)
        name = self.path.strip("/").rpartition("/")[2]
        if name.endswith(".whl"):
            self._send((self.server.wheels / name).read_bytes(), "application/octet-stream")
            return
        files = sorted(each.name for each in self.server.wheels.glob(f"{name}-*.whl"))
        page = "".join(f'<a href="/files/{each}">{each}</a>' for each in files)
        self._send(page.encode(), "text/html")

    do_HEAD = do_GET  # noqa: N815 - how it is found

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextlib.contextmanager
def package_index(wheels: Path) -> Iterator[PackageIndex]:
    """Serve the wheels of a directory until the block ends."""
    with PackageIndex(wheels) as index:
        thread = threading.Thread(target=index.serve_forever)
        thread.start()
        try:
            yield index
        finally:
            index.shutdown()
            thread.join()
