"""The web site of a desktop: who is let in, what is served, and the WebSocket to the X server."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Final

import pytest
from cloud._notebook import desktop_site, websocket
from cloud._notebook.desktop_site import NOVNC, DesktopSite, Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN: Final = "t0"
GATEWAY: Final = {"Authorization": f"token {TOKEN}"}
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY}


@pytest.fixture
def x_server() -> Iterator[socket.socket]:
    """Where the X server listens for VNC clients."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


@pytest.fixture
def ended() -> list[bool]:
    """Filled when the desktop is shut down."""
    return []


@pytest.fixture
def site(x_server: socket.socket, ended: list[bool]) -> Iterator[DesktopSite]:
    """A site that serves."""
    screen = Screen(name="plots", port=x_server.getsockname()[1], password="secret00")
    made = DesktopSite(0, TOKEN, screen, lambda: ended.append(True))
    with made.serving():
        yield made


def ask(
    site: DesktopSite, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request; return the reply and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", site.server_port, timeout=10)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply, body


@pytest.mark.parametrize("path", ["/desktop", "/screen", "/desktop.js", f"/{NOVNC}/core/rfb.js"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "token t1"},
        {"Cookie": "picloud_desktop_1=t0"},
        {"Cookie": 'a="b; c'},
        GATEWAY | {"Origin": "http://elsewhere.example"},
    ],
)
def test_without_the_token_nobody_is_let_in(
    site: DesktopSite, path: str, headers: dict[str, str]
) -> None:
    """Nor a page of another site that sends it."""
    reply, body = ask(site, path, **headers)

    assert reply.status == 403
    assert b"secret00" not in body
    assert "Set-Cookie" not in reply.headers


def test_the_token_of_a_url_becomes_a_cookie(site: DesktopSite) -> None:
    """Scripts cannot read it, other sites cannot send it, and each desktop has its own."""
    site.cookie = "picloud_desktop_7"
    reply, body = ask(site, f"/desktop?token={TOKEN}")
    assert (reply.status, b"/desktop.js" in body) == (200, True)
    cookie = reply.headers["Set-Cookie"]
    assert cookie == f"picloud_desktop_7={TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]

    reply, body = ask(site, "/screen", Cookie=cookie.partition(";")[0])

    assert json.loads(body) == {
        "name": "plots",
        "port": site.screen.port,
        "password": "secret00",
    }
    assert reply.headers["Cache-Control"] == "no-store"
    assert "secret00" not in repr(site.screen)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/hosting.py",
        f"/{NOVNC}/../hosting.py",
        f"/{NOVNC}/LICENSE.txt",
        "/%2e%2e/x",
        "/desktop/",
    ],
)
def test_nothing_else_is_served(site: DesktopSite, path: str) -> None:
    """Only the page and the scripts of noVNC are files of it."""
    assert ask(site, path, **GATEWAY)[0].status == 404


def test_every_module_that_novnc_imports_is_served(site: DesktopSite) -> None:
    """From the first one on, as a browser would load them."""
    paths, seen = [f"/{NOVNC}/core/rfb.js"], set()
    while paths:
        path = paths.pop()
        if path in seen:
            continue
        seen.add(path)
        reply, body = ask(site, path, **GATEWAY)
        assert reply.status == 200, path
        assert reply.headers["Content-Type"].startswith("text/javascript")
        for line in body.decode().splitlines():
            if line.startswith(("import ", "} from ", "export ")) and ' from "' in line:
                name = line.partition(' from "')[2].partition('"')[0]
                paths.append(_resolved(path, name))
            elif line.startswith(("import ", "} from ")) and " from '" in line:
                name = line.partition(" from '")[2].partition("'")[0]
                paths.append(_resolved(path, name))
    assert len(seen) > 30


def _resolved(path: str, name: str) -> str:
    parts = path.split("/")[:-1]
    for each in name.split("/"):
        if each == "..":
            parts.pop()
        elif each != ".":
            parts.append(each)
    return "/".join(parts)


def test_a_websocket_carries_the_bytes_of_the_x_server(
    site: DesktopSite, x_server: socket.socket
) -> None:
    """Both ways, until one of them ends."""
    with socket.create_connection(("127.0.0.1", site.server_port), 10) as browser:
        lines = ["GET /screen HTTP/1.1", "Host: x", "Origin: http://x"]
        lines += [f"{name}: {value}" for name, value in (UPGRADE | GATEWAY).items()]
        browser.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        source = browser.makefile("rb")
        assert b" 101 " in source.readline()
        head = b"".join(iter(source.readline, b"\r\n"))
        assert f"Sec-WebSocket-Accept: {websocket.accept_key(KEY)}".encode() in head
        with x_server.accept()[0] as screen:
            screen.sendall(b"RFB 003.008\n")
            assert source.read(14) == websocket.frame(b"RFB 003.008\n")
        assert source.read(2) == websocket.frame(b"", 8)


def test_a_screen_that_is_gone_is_no_websocket(site: DesktopSite, x_server: socket.socket) -> None:
    """The reply says so."""
    x_server.close()

    reply, body = ask(site, "/screen", **(UPGRADE | GATEWAY))

    assert (reply.status, body) == (503, b"The X server has ended.\n")


def test_its_owner_shuts_it_down(site: DesktopSite, ended: list[bool]) -> None:
    """By a request that has the token, at one address only."""
    statuses = [
        ask(site, "/api/shutdown", "POST")[0].status,
        ask(site, "/api/other", "POST", **GATEWAY)[0].status,
    ]
    assert (statuses, ended) == ([403, 404], [])

    assert ask(site, "/api/shutdown", "POST", **GATEWAY)[0].status == 200

    assert ended == [True]


def test_the_version_of_novnc_is_the_vendored_one() -> None:
    """The page names the folder, too."""
    script = desktop_site._FOLDER.joinpath("desktop.js").read_text()

    assert f'from "/{NOVNC}/core/rfb.js"' in script
