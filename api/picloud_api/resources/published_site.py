"""Browsers at the published site: what users publish is there, and the pages are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from picloud_api.usecases.jobs.visits.published_site import PublishedSite

PUBLISHED: Final = frozenset({"public", "r"})
"""What the paths of published things begin with."""
_FRAMES: Final = frozenset({"document", "embed", "frame", "iframe", "object"})
"""The purposes for which a browser shows what it receives as a page."""
_OWN_COOKIE: Final = "picloud_"


def is_at_site(scope: Mapping[str, Any], site: PublishedSite) -> bool:
    """Whether a request was sent to the published site, perhaps through a proxy."""
    headers = _headers(scope)
    named = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
    return any(map(site.is_named, named))


def address_elsewhere(scope: Mapping[str, Any], site: PublishedSite) -> str:
    """Return where a browser has to go with a request at the host of the pages; "" to serve it.

    Programs are served at both hosts. Of a browser, only requests are that neither show a page nor
    send a cookie of the pages.
    """
    if not site.url or is_at_site(scope, site):
        return ""
    headers = _headers(scope)
    shows_page = (
        headers.get("sec-fetch-dest", "") in _FRAMES
        or headers.get("sec-fetch-mode", "") == "navigate"
        or "text/html" in headers.get("accept", "").lower()
    )
    if not shows_page and _OWN_COOKIE not in headers.get("cookie", ""):
        return ""
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    return f"{site.url}{path.decode('latin-1')}{'?' if query else ''}{query.decode('latin-1')}"


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]
    }
