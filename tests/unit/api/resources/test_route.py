"""A route: which method of its resource serves it, and how it is described."""

from __future__ import annotations

import pytest
from picloud_api.resources.route import Credential, Route, post


class Things:
    """A resource with a method for each form of address."""

    async def on_post(self) -> None: ...
    async def on_post_list(self) -> None: ...
    async def on_post_parts(self) -> None: ...
    async def on_get_one(self) -> None: ...

    async def on_get_parts(self) -> None: ...


class Request:
    """What the request does."""


@pytest.mark.parametrize(
    ("verb", "address", "suffix"),
    [
        ("POST", "/v1/things", ""),
        ("POST", "/v1/things/list", "list"),
        ("POST", "/v1/parts", "parts"),
        ("GET", "/v1/things/{name}", "one"),
        ("GET", "/v1/things/{name}/parts/{part}", "parts"),
    ],
)
def test_an_address_leads_to_a_method(verb: str, address: str, suffix: str) -> None:
    """The last part of an address is the end of the method's name."""
    route = Route(verb=verb, address=address, resource=Things, credential=Credential.KEY)

    assert route.suffix == suffix
    assert hasattr(Things, "_".join(filter(None, ("on", verb.lower(), suffix))))


def test_a_route_is_described_by_its_request() -> None:
    """The docstring of the request is the description, unless the route has a summary."""
    route = post("/v1/things", Things, Request, Request)
    health = Route(
        verb="GET", address="/v1/x", resource=Things, credential=Credential.NONE, summary="Ping."
    )

    assert (route.description(), health.description()) == ("What the request does.", "Ping.")
    assert route.credential is Credential.CALLER
