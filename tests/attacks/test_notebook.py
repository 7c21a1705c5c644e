"""Browsers at the hosts of notebooks: what lets one in, and what a job receives of it.

The job is a web server that shows its requests, in place of JupyterLab.
"""

from __future__ import annotations

import http.client
import http.server
import json
import random
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest
from cloud import wait_for
from cloud._resources.notebook import NotebookClient
from cloud._resources.sign_in import SignInClient

from tests.current_client import current_client
from tests.e2e.browser import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

NAME: Final = "shown"
PASSWORD: Final = "two words for us"
PATHS: Final = ("%2e%2e%2fjobs", "..%2f..%2fetc%2fpasswd", "%00", "A", "x" * 41, "a%0a", "é")


class Shown(http.server.BaseHTTPRequestHandler):
    """Replies with the headers of each request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the library calls it


def serve(port: int) -> None:
    """Show requests until the job is killed."""
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Shown).serve_forever()


class Window:
    """A browser at the host of a notebook, where it was led."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.netloc, parts.port
        self.cookie = ""
        self.entry = f"{parts.path}?{parts.query}"
        status, headers, _ = self.send(self.entry)
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def send(
        self, target: str = "/lab", method: str = "GET", host: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request with the cookies of a browser; return status, headers and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        own = {"Cookie": f"picloud_session_1=s; {self.cookie}; theme=dark", "Host": self.host}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, headers=own | ({"Host": host} if host else {}) | named)
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        return reply.status, {name.lower(): value for name, value in reply.headers.items()}, data


@pytest.fixture
def shown(client: Client) -> Iterator[int]:
    """The job of a notebook, which listens."""
    port = random.randrange(20_000, 32_000)
    jid = int(client.call(serve, port))
    with current_client(client):
        wait_for.port(jid, port, timeout=60)
    NotebookClient(client.transport).run(NAME, jid, port)
    yield jid
    client.kill([jid])
    client.join(jid, 60, ignore_errors=True)
    NotebookClient(client.transport).delete(NAME)


def signed_in(stack: Stack, client: Client) -> Browser:
    """Return a browser that is signed in to the account of a client."""
    browser = Browser(stack)
    link = SignInClient(client.transport).link()
    assert browser.send("GET", link.removeprefix(stack.url)).status == 303
    return browser


def test_no_cookie_of_ours_reaches_a_job(
    stack: Stack, client: Client, other: Client, shown: int
) -> None:
    """Nor does a credential; those of other accounts and hosts open nothing."""
    opened = signed_in(stack, client).send("GET", f"/notebooks/open/{NAME}")
    window = Window(opened.headers["Location"])
    notebook = NotebookClient(client.transport).get(NAME)

    status, headers, data = window.send(Authorization="Bearer x")
    assert status == 200
    received = json.loads(data)
    assert received["cookie"] == "theme=dark"
    assert received["authorization"] == f"token {notebook.token}"
    assert received["connection"] == "keep-alive"
    assert "set-cookie" not in headers

    # A pass, a cookie of another kind or host, another site's page: nothing reaches the job.
    label, _, domain = window.host.partition(".")
    elsewhere = f"{label.replace(NAME, 'other')}.{domain}"
    assert window.send(host=elsewhere)[0] == 401
    assert window.send(host=f"127.0.0.1:{window.port}")[0] == 404
    assert window.send(Origin=f"http://{elsewhere}")[0] == 403
    assert window.send(method="POST", Origin="null")[0] == 403
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": "http://evil.example"}
    assert window.send(**upgrade)[0] == 403
    assert window.send(Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    window.cookie = f"picloud_visit={window.entry.partition('=')[2]}"
    assert window.send()[0] == 401

    stranger = signed_in(stack, other)
    assert stranger.send("GET", f"/notebooks/open/{NAME}").status == 404
    assert Browser(stack).send("GET", f"/notebooks/open/{NAME}").status == 401
    assert stranger.send("POST", notebook.shared_path, password="").status == 401
    for path in PATHS:
        assert stranger.send("GET", f"/notebooks/open/{path}").status == 404
        assert stranger.send("POST", f"/notebooks/shared/{path}", password="x").status in (401, 404)


def test_a_visit_ends_with_the_session_of_the_pages(
    stack: Stack, client: Client, shown: int
) -> None:
    """Signing out everywhere ends visits to notebooks, too."""
    browser = signed_in(stack, client)
    window = Window(browser.send("GET", f"/notebooks/open/{NAME}").headers["Location"])
    assert window.send()[0] == 200
    page = browser.text("/notebooks")
    token = page.partition('name="form_token" value="')[2].partition('"')[0]

    assert browser.send("POST", "/sign-out", form_token=token, everywhere="yes").status == 303

    assert window.send()[0] == 401
    assert window.send(window.entry)[0] == 401
