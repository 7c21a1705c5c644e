"""The web site of a desktop: the page with noVNC, and the WebSocket to the X server."""

from __future__ import annotations

import hmac
import socket
import threading
from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec

from cloud._notebook import websocket
from cloud._notebook.hosting import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOVNC: Final = "novnc-1.7.0"
START: Final = "/desktop"
_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_IDLE_S: Final = 75.0
"""How long a connection may wait for its next request."""
_MOST_BODY: Final = 1 << 16


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """What leads to the X server of a desktop: its name, its VNC port and password."""

    name: str
    port: int
    password: str

    def __repr__(self) -> str:
        return f"Screen(name={self.name!r}, port={self.port!r})"


class DesktopSite(ThreadingHTTPServer):
    """Serves browsers that have the token of a desktop.

    Args:
        port: The port that it listens on, at 127.0.0.1.
        token: What lets in: in a header, which a gateway sets, or in a URL, then in a cookie.
        screen: The X server.
        shut_down: Ends the desktop.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, port: int, token: str, screen: Screen, shut_down: Callable[[], None]
    ) -> None:
        super().__init__((HOST, port), _Handler)
        self.token = token
        self.screen = screen
        self.shut_down = shut_down
        # Cookies are those of a host, whatever the port: those of other desktops have other names.
        self.cookie = f"picloud_desktop_{port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write nothing of connections that broke."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: DesktopSite
    timeout = _IDLE_S

    def do_GET(self) -> None:
        """Reply with a file, with what leads to the screen, or with a WebSocket to it."""
        address = urlsplit(self.path)
        if not self._is_let_in(parse_qs(address.query).get("token", [""])[0]):
            self._reply(HTTPStatus.FORBIDDEN, b"Open the desktop by `picloud desktop open`.\n")
        elif address.path == "/screen" and "Upgrade" in self.headers:
            self._carry()
        elif address.path == "/screen":
            self._reply(HTTPStatus.OK, msgspec.json.encode(self.server.screen))
        else:
            self._send_file(address.path, sets_cookie=bool(address.query))

    def do_POST(self) -> None:
        """Shut the desktop down."""
        self.close_connection = True
        if not self._is_let_in(""):
            self._reply(HTTPStatus.FORBIDDEN, b"")
        elif self.path != "/api/shutdown":
            self._reply(HTTPStatus.NOT_FOUND, b"")
        else:
            self.rfile.read(min(int(self.headers.get("Content-Length", "0")), _MOST_BODY))
            self._reply(HTTPStatus.OK, b"")
            self.server.shut_down()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Write no log: it would have the token in it."""

    def _is_let_in(self, token: str) -> bool:
        """Return whether a request has the token, and is not one that another site sent."""
        header = self.headers.get("Authorization", "").removeprefix("token ")
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            cookies = SimpleCookie()
        cookie = cookies[self.server.cookie].value if self.server.cookie in cookies else ""
        origin = self.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != self.headers.get("Host"):
            return False
        expected = self.server.token.encode()
        return any(hmac.compare_digest(each.encode(), expected) for each in (header, token, cookie))

    def _send_file(self, path: str, *, sets_cookie: bool) -> None:
        name = {START: "desktop.html", "/desktop.js": "desktop.js"}.get(path, "")
        if path in _novnc():
            name = path[1:]
        if not name:
            self._reply(HTTPStatus.NOT_FOUND, b"There is nothing at this address.\n")
            return
        data = (_FOLDER / name).read_bytes()
        kept = "private, max-age=86400" if name.startswith(NOVNC) else "no-store"
        content_type = _TYPES[Path(name).suffix]
        cookie = f"{self.server.cookie}={self.server.token}; Path=/; HttpOnly; SameSite=Strict"
        more = {"Set_Cookie": cookie} if sets_cookie else {}
        self._reply(HTTPStatus.OK, data, content_type=content_type, Cache_Control=kept, **more)

    def _carry(self) -> None:
        self.close_connection = True
        try:
            target = socket.create_connection((HOST, self.server.screen.port))
        except OSError:
            self._reply(HTTPStatus.SERVICE_UNAVAILABLE, b"The X server has ended.\n")
            return
        key = self.headers.get("Sec-WebSocket-Key", "")
        self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", websocket.accept_key(key))
        self.end_headers()
        self.connection.settimeout(None)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        websocket.carry(self.rfile, self.connection, target)

    def _reply(
        self, status: HTTPStatus, body: bytes, content_type: str = "text/plain", **headers: str
    ) -> None:
        self.send_response(status)
        fixed = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in (fixed | changed).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@cache
def _novnc() -> frozenset[str]:
    """Return the paths of the files of noVNC."""
    return frozenset(
        f"/{each.relative_to(_FOLDER).as_posix()}" for each in (_FOLDER / NOVNC).rglob("*.js")
    )
