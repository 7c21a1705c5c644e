"""Browsers are sent to the published site, programs are served where they are."""

from __future__ import annotations

from typing import Any

import pytest
from picloud_api.resources.published_site import address_elsewhere, is_at_site
from picloud_api.usecases.jobs.visits.published_site import PublishedSite

SITE = PublishedSite("http://127.0.0.2:8787")
PROGRAM = {"accept": "*/*", "user-agent": "curl/8"}


def scope(**headers: str) -> dict[str, Any]:
    """Return what an ASGI server knows of a request."""
    given = {"host": "127.0.0.1:8787", **headers}
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in given.items()]
    return {
        "path": "/r/a/x y",
        "raw_path": b"/r/a/x%20y",
        "query_string": b"n=1",
        "headers": pairs,
    }


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "text/html,*/*"},
        {"accept": "*/*", "sec_fetch_mode": "navigate"},
        {"accept": "*/*", "sec_fetch_dest": "iframe"},
        {"accept": "*/*", "cookie": "a=b; picloud_session_8787=x"},
    ],
)
def test_a_browser_goes_to_the_site(headers: dict[str, str]) -> None:
    """With the same path and query, wherever it shows a page or sends a cookie of the pages."""
    assert address_elsewhere(scope(**headers), SITE) == "http://127.0.0.2:8787/r/a/x%20y?n=1"
    assert address_elsewhere(scope(**headers), PublishedSite()) == ""
    assert address_elsewhere(scope(**{**headers, "host": "127.0.0.2:8787"}), SITE) == ""
    assert address_elsewhere(scope(**headers, x_forwarded_host="127.0.0.2"), SITE) == ""


@pytest.mark.parametrize("headers", [{}, PROGRAM, {"accept": "image/png", "cookie": "a=b"}])
def test_a_program_is_served_at_both_hosts(headers: dict[str, str]) -> None:
    """As an image of another site's page is."""
    assert address_elsewhere(scope(**headers), SITE) == ""


def test_the_site_is_named_by_the_request_or_a_proxy() -> None:
    """A proxy may send its own name to the server."""
    assert is_at_site(scope(host="127.0.0.2"), SITE)
    assert is_at_site(scope(x_forwarded_host="127.0.0.2:8787"), SITE)
    assert not is_at_site(scope(), SITE)
