"""A small web site: it serves images that it makes, and collects what is posted to it."""

import io
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from PIL import Image


class Site:
    """Serves `/0.jpg`, `/1.jpg` and so on; others do not exist. Use it in a `with` block."""

    def __init__(self, count: int) -> None:
        self.posted: list[dict] = []
        """The messages that were posted."""
        self._images = {f"/{number}.jpg": photo(number) for number in range(count)}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = site._images.get(self.path)
                if content is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self) -> None:
                site.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()

            def log_message(self, *message: object) -> None:
                """Log nothing."""

        return Handler


def photo(number: int) -> bytes:
    """Return a JPEG of 900 by 600 pixels: two gradients of colours that depend on the number."""
    gradient = Image.linear_gradient("L").resize((900, 600))
    across = gradient.transpose(Image.Transpose.ROTATE_90).resize((900, 600))
    hue = Image.new("L", (900, 600), 37 * number % 256)
    content = io.BytesIO()
    Image.merge("HSV", (hue, gradient, across)).convert("RGB").save(content, "jpeg")
    return content.getvalue()
