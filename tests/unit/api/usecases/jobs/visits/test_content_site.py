"""The hosts of notebooks."""

from __future__ import annotations

import pytest
from picloud_api.usecases.jobs.visits.content_site import ContentSite

SITE = ContentSite(domain="jobs.example.org")


@pytest.mark.parametrize(
    "url",
    ["", "https://example.org", "*.example.org", "ftp://*.a", "https://*.a/b", "http://*.a:x"],
)
def test_a_url_has_a_place_for_names(url: str) -> None:
    """Without it, all notebooks would share one host and its cookies."""
    assert ContentSite.read(url, None) is None


def test_the_gateway_may_listen_on_another_port() -> None:
    """One behind a proxy, which receives what is encrypted."""
    site = ContentSite.read("https://*.jobs.example.org/", 8790)

    assert site is not None
    assert site.listen == 8790
    assert site.url("a", 8790) == "https://a.jobs.example.org:443"


def test_without_a_port_it_is_that_of_the_gateway() -> None:
    """A free one is chosen when it starts."""
    assert SITE.url("a", 4321) == "http://a.jobs.example.org:4321"


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("a.jobs.example.org", "a"),
        ("A.Jobs.Example.Org:80", "a"),
        ("b.a.jobs.example.org", ""),
        ("jobs.example.org", ""),
        ("a.jobs.example.org.evil.com", ""),
        ("a.xjobs.example.org", ""),
        ("127.0.0.1:80", ""),
        ("", ""),
    ],
)
def test_hosts_of_the_site_have_a_label(host: str, label: str) -> None:
    """Others, which may resolve to the same address, have none."""
    assert SITE.label(host) == label
