"""The published site: pages of users and pages of the server never share a host in a browser."""

from __future__ import annotations

import contextlib
import http.client
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import cloud
import pytest
import urllib3
from cloud import rest

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
COOKIE = {"Accept": "*/*", "Cookie": "picloud_session_80=x; own=1"}
PAGES = (
    "/",
    "/jobs",
    "/sign-in",
    "/sign-in/x",
    "/join/x",
    "/reset/x",
    "/static/pages.css",
    "/keys",
)


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what it learnt."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [f"{environ.get('HTTP_HOST')}|{environ.get('HTTP_COOKIE', '')}".encode()]


def negative(x: int) -> int:
    """Return a number with the other sign."""
    return -x


@pytest.fixture(scope="module")
def paths(stack: Stack) -> Iterator[dict[str, str]]:
    """The paths of a public object, of a function and of an application."""
    with contextlib.closing(stack.client()) as client:
        client.result(client.call(abs, 1), 120)
        at = len(client.address.url)
        with current_client(client):
            cloud.bucket.putf(b"<script>alert(1)</script>", "site/page.html")
            made = {
                "object": cloud.bucket.make_public("site/page.html")[at:],
                "function": rest.publish(negative, "site-abs", public=True)[at:] + "?x=-1",
                "application": rest.publish_app(application, "site-app", public=True)[at:],
            }
        yield made
        with current_client(client):
            rest.remove("site-abs")
            rest.remove("site-app")


def get(url: str, headers: dict[str, str], verb: str = "GET") -> urllib3.BaseHTTPResponse:
    """Send a request, and follow nowhere."""
    return urllib3.request(verb, url, headers=headers, redirect=False, timeout=60, retries=False)


def site_of(stack: Stack) -> str:
    """Return the URL of the published site."""
    return f"http://127.0.0.2:{urlsplit(stack.url).port}"


@pytest.mark.parametrize("what", ["object", "function", "application"])
def test_a_browser_is_sent_to_the_other_host(
    stack: Stack, paths: dict[str, str], what: str
) -> None:
    """Before anything of the user is read, with whatever cookie and method."""
    for headers in (HTML, COOKIE, {"Accept": "*/*", "Sec-Fetch-Dest": "iframe"}):
        for verb in ("GET", "HEAD", "POST"):
            reply = get(f"{stack.url}{paths[what]}", headers, verb)

            assert reply.status == 307
            assert reply.headers["Location"] == f"{site_of(stack)}{paths[what]}"
            assert reply.data == b""


def test_what_is_published_is_at_the_other_host(stack: Stack, paths: dict[str, str]) -> None:
    """Also there it is a site of its own, and a cookie of ours does not reach a job."""
    for what, path in paths.items():
        reply = get(f"{site_of(stack)}{path}", HTML)
        assert reply.status == 200, (what, reply.data)
    page = get(f"{site_of(stack)}{paths['application']}", {**HTML, **COOKIE})

    assert page.data == f"{urlsplit(site_of(stack)).netloc}|own=1".encode()
    assert "sandbox" in page.headers["Content-Security-Policy"]


def test_there_are_no_pages_at_the_other_host(stack: Stack) -> None:
    """No person signs in there, so that no cookie of the pages is ever sent there."""
    for path in PAGES:
        for verb in ("GET", "POST"):
            reply = get(f"{site_of(stack)}{path}", HTML, verb)
            assert (reply.status, reply.data) == (404, b""), path
            assert "Set-Cookie" not in reply.headers
    behind = get(f"{stack.url}/sign-in", {**HTML, "X-Forwarded-Host": "127.0.0.2"})
    assert behind.status == 404


def test_programs_are_served_at_the_host_that_they_know(
    stack: Stack, paths: dict[str, str]
) -> None:
    """A URL of an earlier version works on."""
    for path in paths.values():
        assert get(f"{stack.url}{path}", {"Accept": "*/*"}).status == 200


def test_public_ports_are_at_the_other_host(client: Client) -> None:
    """Browsers send the cookies of a host to all its ports, and a stream is not looked into."""
    with current_client(client):
        jid = cloud.shell.execute("exec python3 -m http.server 9127 --bind 127.0.0.1")

    def place() -> dict[str, Any]:
        ports = client.info(jid, "ports")[jid]["ports"]
        return dict(((ports or {}).get("tcp") or {}).get(9127) or {})

    until(lambda: place().get("port"), "the port is public", 60)
    found = place()
    reached = http.client.HTTPConnection(found["address"], found["port"], timeout=30)
    reached.request("GET", "/")
    status = reached.getresponse().status
    reached.close()
    client.kill([jid])

    assert (found["address"], status) == ("127.0.0.2", 200)
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", found["port"], timeout=30).connect()
