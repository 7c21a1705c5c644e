"""Calls of endpoints: which methods their addresses take."""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from picloud_model import wire
from picloud_model.wire.rest import FILES, FORM, MAX_CALL_BYTES, Parameter, PublishRequest

from tests.unit.api.api_harness import ACCOUNT

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


@pytest.fixture
async def login(api: ApiHarness) -> str:
    """Publish a function as area; return what a program with a key of the account sends."""
    job = replace(api.request(1), kind="call", submit_id=uuid.uuid4().hex)
    parameters = [Parameter(name="width", kind="float")]
    publication = PublishRequest(label="area", parameters=parameters, job=job)
    await api.use_cases.rest.endpoints.publish(ACCOUNT, publication)
    name, secret = api.server.key.removeprefix("pk_").split("_", 1)
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


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
    http: HttpApi, login: str, below: str, verb: str, allowed: str
) -> None:
    """A request with another one is answered with them, and so is `OPTIONS`."""
    address = f"/r/{ACCOUNT}/area{below}"
    headers = {"Authorization": login, "Content-Type": wire.JSON}

    refused = await http.send(verb, address, b"", "", **headers)
    asked = await http.send("OPTIONS", address, b"", "", **headers)

    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert refused.json["message"] == f"This address takes {allowed}, not {verb}."
    assert asked.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("kind", "data", "error"),
    [
        ("text/xml", b"<width>2</width>", (400, "argument.refused")),
        (wire.JSON, b'{"width": ', (400, "request.refused")),
        (wire.JSON, b"[2]", (422, "request.refused")),
        (wire.JSON, b'{"width": "%b"}' % (b"2" * 2 * MAX_CALL_BYTES), (413, "request.too_large")),
        (FORM, b"a=1&" * 1001, (400, "argument.refused")),
        (FILES, b"width=2", (400, "argument.refused")),
    ],
)
async def test_a_body_that_holds_no_arguments_is_refused(
    http: HttpApi, login: str, kind: str, data: bytes, error: tuple[int, str]
) -> None:
    """A form, an object of JSON or nothing is what a call may have; no other one makes a job."""
    headers = {"Authorization": login, "Content-Type": kind}

    refused = await http.send("POST", f"/r/{ACCOUNT}/area", data, "", **headers)

    assert (refused.status_code, refused.json["code"]) == error
    if refused.status_code == 413:
        assert "larger than 192 KiB; store the data as an object" in refused.json["message"]
    assert not (await http.api.use_cases.jobs.listing.list(ACCOUNT, wire.ListRequest())).jobs
