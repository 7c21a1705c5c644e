"""The published site: its URL, and the hosts that name it."""

from __future__ import annotations

import pytest
from picloud_api.usecases.jobs.visits.published_site import PublishedSite


@pytest.mark.parametrize(
    "url", ["", "off", "example.org", "ftp://example.org", "https://a/b", "https://*.example.org"]
)
def test_what_is_not_a_url_of_a_host_is_refused(url: str) -> None:
    """A path or a wildcard would never match."""
    assert PublishedSite.read(url) is None


def test_a_host_is_named_with_any_port_and_in_any_case() -> None:
    """Browsers tell hosts apart by their names: cookies are sent to all ports."""
    site = PublishedSite("https://published.example.org")

    assert site.is_named("Published.Example.ORG:8787")
    assert not any(map(site.is_named, ("", "example.org", "a.published.example.org", "[::1]:80")))
    assert not PublishedSite().is_named("")


def test_the_port_is_that_of_the_server_if_it_listens_itself() -> None:
    """Behind a proxy the URL says all."""
    own, other = PublishedSite("http://127.0.0.2", is_own=True), PublishedSite("https://a.example")

    assert own.at_port(81).url == "http://127.0.0.2:81"
    assert (own.own_host, other.own_host) == ("127.0.0.2", "")
    assert other.at_port(81) == other
