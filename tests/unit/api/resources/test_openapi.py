"""The OpenAPI document says what is served, all of it, and in a form programs can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import falcon.asgi
import falcon.inspect
import jsonschema_rs
import pytest
from falcon.testing import TestClient
from picloud_api.app import add_routes
from picloud_api.resources.openapi import SERVED
from picloud_model import wire

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness


@pytest.fixture
def app(api: ApiHarness) -> Any:
    """The application with all its routes."""
    made: Any = falcon.asgi.App()
    add_routes(made, api.use_cases)
    return made


@pytest.fixture
def described(app: Any) -> dict[str, Any]:
    """The document, as it is served."""
    answer = TestClient(app).simulate_get("/v1/openapi.json")
    assert answer.headers["content-type"] == wire.JSON
    return json.loads(answer.content)  # type: ignore[no-any-return]


async def test_every_route_and_verb_is_in_it(app: Any, described: dict[str, Any]) -> None:
    """What is served is described, and nothing else."""
    served = {
        (verb, route.path)
        for route in falcon.inspect.inspect_routes(app)
        for verb in [each.method for each in route.methods if not each.internal]
    }
    told = {(verb.upper(), path) for path, verbs in described["paths"].items() for verb in verbs}

    assert told == served == {(route.verb, route.address) for route in SERVED}


async def test_every_schema_is_one(described: dict[str, Any]) -> None:
    """Each schema is good by JSON Schema's own rules, and each reference leads somewhere."""
    for name, schema in described["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        whole = {**schema, "components": described["components"]}
        jsonschema_rs.Draft202012Validator(whole)
        assert schema["title"] == name


async def test_every_operation_says_what_it_does_and_wants(described: dict[str, Any]) -> None:
    """A sentence each; a credential each, but for what is open to everybody."""
    opened = set()
    for path, verbs in described["paths"].items():
        for verb, each in verbs.items():
            assert each["summary"].endswith((".", "`.", "?", "`")), (path, verb, each["summary"])
            if not each["security"]:
                opened.add(path)

    assert opened == {"/v1/health", "/v1/openapi.json", "/v1/slots"}
