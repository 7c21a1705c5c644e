"""Published applications: what they learn of their callers, and what they can do to others."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from cloud import rest
from picloud_api.usecases.jobs.visits.published_site import LOCAL

from tests.attacks.sender import authorization, basic
from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
BELOW = ("", "/x", "/v/1", "/v/1/x", "/openapi", "/jobs/1", "/jobs/1/x", "/x%2F..%2F..%2Fguarded")


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answer with what it learnt, and with headers that are not its own."""
    headers = [
        ("Content-Type", "text/html"),
        ("Set-Cookie", "mine=1; Path=/; Domain=example.org; HttpOnly"),
        ("Set-Cookie", "picloud_session_80=stolen"),
        ("Clear-Site-Data", '"*"'),
        ("Strict-Transport-Security", "max-age=1"),
        ("Service-Worker-Allowed", "/"),
        ("Content-Security-Policy", "default-src *"),
        ("Content-Length", "1"),
        ("Connection", "close"),
    ]
    if environ["PATH_INFO"] == "/split":
        headers = [("X-A", "1\r\nSet-Cookie: picloud_session_80=stolen")]
    start_response("200 OK", headers)
    learnt = [environ.get("HTTP_AUTHORIZATION", ""), environ.get("HTTP_COOKIE", "")]
    return ["|".join(learnt).encode()]


@pytest.fixture(scope="module")
def paths(stack: Stack, sender: Sender) -> Iterator[tuple[str, str]]:
    """The paths of two applications of the attacked account; the second one is public."""
    with contextlib.closing(stack.client(sender.other)) as client:
        client.result(client.call(abs, 1), 120)  # once a slot is warm, requests are answered
        at = len(client.address.url)
        with current_client(client):
            guarded = rest.publish_app(application, "guarded-app")
            public = rest.publish_app(application, "open-app", public=True)
        yield guarded[at:], public[at:]
        with current_client(client):
            rest.remove("guarded-app")
            rest.remove("open-app")


def ask(sender: Sender, verb: str, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    """Send a request with any headers, where browsers reach applications."""
    pool = urllib3.PoolManager(timeout=60.0, retries=False)
    site = sender.url.replace("127.0.0.1", LOCAL)
    return pool.request(verb, site + path, headers=headers, redirect=False)


@pytest.mark.parametrize("verb", VERBS)
def test_strangers_reach_no_address_of_an_application(
    sender: Sender, paths: tuple[str, str], verb: str
) -> None:
    """With no key, an unknown one or one of another account, it looks like a missing one."""
    guarded, _ = paths
    missing = guarded.replace("guarded-app", "missing")

    for below in BELOW:
        for credential, status in (
            ({}, 401),
            ({"Authorization": "Bearer x"}, 401),
            ({"Authorization": basic("r" + "0" * 12, "x")}, 401),
            ({"Authorization": authorization("", sender.key)}, 404),
        ):
            replies = [ask(sender, verb, path + below, **credential) for path in (guarded, missing)]
            assert [each.status for each in replies] == [status, status], (below, credential)
            assert replies[0].data.replace(b"guarded-app", b"missing") == replies[1].data


def test_an_application_does_not_learn_who_called_it(
    sender: Sender, paths: tuple[str, str]
) -> None:
    """Neither a key nor a cookie of this server; other credentials of a public one are its own."""
    guarded, public = paths
    owner = authorization("", sender.other)
    cookie = "picloud_session_80=x; mine=1; picloud_session_443=y"

    for path, credential, learnt in (
        (guarded, owner, b"|mine=1"),
        (public, owner, b"|mine=1"),
        (public, authorization("", sender.key), b"|mine=1"),
        (public, "Bearer of-its-own", b"Bearer of-its-own|mine=1"),
        (public, basic("ada", "x"), f"{basic('ada', 'x')}|mine=1".encode()),
    ):
        reply = ask(sender, "GET", path, Authorization=credential, Cookie=cookie)
        assert (reply.status, reply.data) == (200, learnt)
    for token in (f"Bearer {sender.other}", "bearer pj_1_x", basic("0" * 12, "x")):
        assert ask(sender, "GET", public, Authorization=token).status == 401


def test_an_application_changes_nothing_outside_of_it(
    sender: Sender, paths: tuple[str, str]
) -> None:
    """Its pages are sandboxed, its cookies are sent to it alone, no header is the server's."""
    _, public = paths

    reply = ask(sender, "GET", public)

    assert reply.headers.getlist("Set-Cookie") == [f"mine=1; HttpOnly; Path={public}"]
    policy = reply.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "allow-same-origin" not in policy
    assert reply.headers["Content-Length"] == "1"
    for name in ("Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed"):
        assert name not in reply.headers
    reply = ask(sender, "GET", f"{public}/split")
    assert (reply.status, "Set-Cookie" in reply.headers) == (500, False)


def test_a_page_of_another_site_cannot_change_a_guarded_application(
    sender: Sender, paths: tuple[str, str]
) -> None:
    """A form that a browser sends with the password that it remembers is refused."""
    guarded, public = paths
    login = authorization("", sender.other)
    form = "application/x-www-form-urlencoded"

    for origin in ("https://evil.example", "null"):
        sent = {"Authorization": login, "Origin": origin, "Content-Type": form}
        assert ask(sender, "POST", guarded, **sent).status == 403
        assert ask(sender, "POST", public, **sent).status == 403
        assert ask(sender, "POST", public, Origin=origin, **{"Content-Type": form}).status == 200
