"""Cross-origin requests: what browsers may let scripts do."""

from __future__ import annotations

import pytest
from falcon.asgi import Response
from picloud_api.resources.cross_origin import allow_origin, allow_requests


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        (["https://a.example"], "https://a.example"),
        (["https://b.example", "*"], "*"),
        (["https://a.example.org"], None),
        ([], None),
    ],
)
def test_an_origin_is_allowed_if_it_is_named(origins: list[str], allowed: str | None) -> None:
    """Caches keep the replies to different origins apart in any case."""
    response = Response()

    assert allow_origin(response, "https://a.example", origins) is (allowed is not None)

    assert response.get_header("Access-Control-Allow-Origin") == allowed
    assert response.get_header("Vary") == "Origin"
    assert response.get_header("Access-Control-Allow-Credentials") is None


def test_scripts_may_send_what_calls_need() -> None:
    """The verbs of the address, a key and the headers that calls know."""
    response = Response()

    allow_requests(response, ("GET", "POST"))

    assert response.get_header("Access-Control-Allow-Methods") == "GET, POST"
    assert response.get_header("Access-Control-Allow-Headers") == (
        "Authorization, Content-Type, Idempotency-Key, Prefer"
    )
