"""Hostile texts and sites: nothing of a job runs in a browser, and no other site can act."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any, Final

import cloud
import pytest
from cloud import rest
from cloud._resources.sign_in import SignInClient
from playwright.sync_api import expect

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client
    from playwright.sync_api import Browser, Page

    from tests.e2e.stacks import EmbeddedStack

SCRIPTS: Final = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(2)>",
    "\"' autofocus onfocus=alert(3) x='",
    "</pre></textarea><svg onload=alert(4)>",
    '" hx-get="/sign-out" hx-trigger="load" x="',
    "{{ ''.__class__ }}{% raw %}",
    "\N{RIGHT-TO-LEFT OVERRIDE}\x00\x1b]0;title\x07",
)


def _fail() -> None:
    text = " ".join(SCRIPTS[:-1])
    print(text)
    raise ValueError(text)


def test_nothing_of_a_job_runs(page: Page, client: Client) -> None:
    """Labels, names, output, results and messages are text, on every page that shows them."""
    for script in SCRIPTS[:-1]:
        client.call(abs, 1, _label=script)
    failed = client.call(_fail)
    done = client.call(str, " ".join(SCRIPTS))
    client.join([failed, done], 60, ignore_errors=True)
    start = page.url

    for path in ("", f"/{failed}", f"/{done}", "?label=%22%3E%3Cscript%3Ealert(5)%3C/script%3E"):
        page.goto(f"{start}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.locator("img, [onfocus], [onload], main script").count() == 0
    page.goto(f"{start}/{failed}")
    assert SCRIPTS[0] in page.locator("main").inner_text()


def test_nothing_of_an_object_runs(page: Page, client: Client) -> None:
    """Keys and contents of objects are text, in lists and in previews."""
    start = page.url.removesuffix("/jobs")
    with current_client(client):
        for number, script in enumerate(SCRIPTS[:-1]):
            cloud.bucket.putf(" ".join(SCRIPTS[:-1]), f"hostile/{number}{script}.csv")

    page.goto(f"{start}/bucket?prefix=hostile/")
    addresses = [
        link.get_attribute("href") for link in page.get_by_role("link", name="Preview").all()
    ]
    for path in ("/bucket", "/bucket?prefix=hostile/", *addresses):
        page.goto(f"{start}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.locator("img, [onfocus], [onload], main script").count() == 0

    assert len(addresses) >= 3
    assert SCRIPTS[0] in page.locator("main").inner_text()


def hostile(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Reply with a page that wants to act for the visitor, and says which cookies it was sent."""
    start_response("200 OK", [("Content-Type", "text/html")])
    page = f"""<!doctype html><title>app</title><p id=sent>[{environ.get("HTTP_COOKIE", "")}]</p>
    <p id=found></p><script>
    let found = [];
    try {{ found.push(document.cookie) }} catch (error) {{ found.push("cookies: " + error.name) }}
    fetch("{environ["QUERY_STRING"]}/jobs", {{credentials: "include"}})
        .then(() => found.push("read"), () => found.push("unread"))
        .then(() => {{ document.querySelector("#found").textContent = found.join("; ") }})
    </script>"""
    return [page.encode()]


def _serve(port: int) -> None:
    class Echo(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = f"<p>cookies [{self.headers.get('Cookie', '')}]</p>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(data)

    http.server.HTTPServer(("127.0.0.1", port), Echo).serve_forever()


def test_what_users_publish_is_another_site(
    chromium: Browser, client: Client, stack: EmbeddedStack
) -> None:
    """An application and a public port of a job get no cookie of a visitor who is signed in."""
    with current_client(client):
        rest.publish_app(hostile, "hostile", public=True)
    jid = int(client.call(_serve, 9128))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(SignInClient(client.transport).link())
    page.goto(f"{stack.url}/endpoints/hostile")
    page.get_by_role("link", name="/hostile").click()
    expect(page.locator("#sent")).to_have_text("[]", timeout=20_000)
    assert page.url.startswith("http://127.0.0.2:")
    # Also by a link that leads to the host of the pages, with their cookie.
    page.goto(f"{stack.url}/r/a0000001/hostile?{stack.url}")

    assert page.url.startswith("http://127.0.0.2:")
    expect(page.locator("#sent")).to_have_text("[]")
    expect(page.locator("#found")).to_have_text("cookies: SecurityError; unread", timeout=20_000)
    page.goto(f"{stack.url}/jobs/{jid}")
    page.get_by_role("link", name="127.0.0.2:").click()
    expect(page.get_by_text("cookies []")).to_be_visible()
    client.kill([jid])
    context.close()


class OtherSite(http.server.BaseHTTPRequestHandler):
    """A site that tries to frame a page of the platform, and to send one of its forms."""

    target = ""

    def do_GET(self) -> None:
        page = f"""<!doctype html><title>other</title>
        <iframe name=framed src="{self.target}"></iframe>
        <form method=post action="{self.target}/kill"><input name=jids value="1-1">
        <button>win</button></form>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def other_site(stack: EmbeddedStack) -> Iterator[str]:
    """The address of another site: the same host, so that its cookies are sent, at another port."""
    OtherSite.target = f"{stack.url}/jobs"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherSite)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_site_cannot_use_a_session(
    chromium: Browser, client: Client, other_site: str
) -> None:
    """A frame stays empty, and a form is refused, though the browser is signed in."""
    jid = int(client.call(abs, 1))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(SignInClient(client.transport).link())
    page.goto(other_site)
    framed = page.frame("framed")
    assert framed is not None

    assert "Jobs" not in framed.locator("body").inner_text()
    page.get_by_role("button", name="win").click()

    expect(page.get_by_text("sent by another site")).to_be_visible()
    assert client.status(jid) != "killed"
    context.close()
