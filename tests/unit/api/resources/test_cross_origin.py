"""Cross-origin requests: what browsers may let scripts do."""

from __future__ import annotations

import pytest
from falcon.asgi import Request, Response
from falcon.testing import create_asgi_req
from picloud_api.resources.cross_origin import (
    allow_origin,
    allow_requests,
    check_credential_is_meant,
    is_foreign,
)
from picloud_model.errors import NotAllowed


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


def sent(**headers: str) -> Request:
    """Return a request to `cloud.example` with headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return create_asgi_req(
        method="POST", host="cloud.example", port=443, scheme="https", headers=named
    )


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"Origin": "https://cloud.example"}, False),
        ({"Origin": "https://cloud.example:81"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "https://cloud.example", "Sec_Fetch_Site": "cross-site"}, True),
        ({"Origin": "https://b.example", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Sec_Fetch_Site": "same-site"}, True),
    ],
)
def test_a_page_of_another_origin_is_recognised(headers: dict[str, str], foreign: bool) -> None:
    """By what browsers say of the page; a program that is none says nothing."""
    assert is_foreign(sent(**headers)) is foreign


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Content_Type": "application/x-www-form-urlencoded"}, True),
        ({"Content_Type": "text/plain; charset=application/json"}, True),
        ({}, True),
        ({"Content_Type": "application/json; charset=utf-8"}, False),
        ({"Prefer": "wait=5"}, False),
        ({"Idempotency_Key": "a"}, False),
    ],
)
def test_a_form_of_another_site_cannot_use_a_credential(
    headers: dict[str, str], refused: bool
) -> None:
    """A browser sends the other requests without the passwords that it remembers."""
    request = sent(Origin="https://evil.example", Authorization="Basic eDp5", **headers)
    if refused:
        with pytest.raises(NotAllowed, match="send the arguments as JSON"):
            check_credential_is_meant(request)
    else:
        check_credential_is_meant(request)
    check_credential_is_meant(sent(Origin="https://evil.example", **headers))
