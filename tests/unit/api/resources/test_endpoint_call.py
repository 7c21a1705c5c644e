"""Calls of endpoints: which methods their addresses take."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_model import wire
from picloud_model.wire.rest import PublishRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


@pytest.mark.parametrize(
    ("below", "verb", "allowed"),
    [
        ("", "PUT", "GET, POST, OPTIONS"),
        ("/v/1", "DELETE", "GET, POST, OPTIONS"),
        ("/openapi", "POST", "GET, OPTIONS"),
        ("/jobs/1", "PATCH", "GET, OPTIONS"),
    ],
)
async def test_each_address_of_a_function_names_its_methods(
    api: ApiHarness, http: HttpApi, below: str, verb: str, allowed: str
) -> None:
    """A request with another one is answered with them, and so is `OPTIONS`."""
    job = replace(api.request(1), kind="call", submit_id=uuid.uuid4().hex)
    publication = PublishRequest(label="area", parameters=[], job=job)
    await api.use_cases.rest.endpoints.publish(ACCOUNT, publication)
    address = f"/r/{ACCOUNT}/area{below}"
    name, secret = api.server.key.removeprefix("pk_").split("_", 1)
    login = base64.b64encode(f"{name}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": wire.JSON}

    refused = await http.send(verb, address, b"", "", **headers)
    asked = await http.send("OPTIONS", address, b"", "", **headers)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json["message"] == f"This address takes {allowed}, not {verb}."
    assert asked.headers["allow"] == allowed
