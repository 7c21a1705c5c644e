"""The OpenAPI document describes all that is served, in a form that programs can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import falcon.inspect
import jsonschema_rs
import pytest
from picloud_api.resources.openapi import SERVED
from picloud_model import wire

if TYPE_CHECKING:
    from tests.unit.api.http_api import HttpApi


@pytest.fixture
async def described(http: HttpApi) -> dict[str, Any]:
    """The document as it is served."""
    answer = await http.send("GET", "/v1/openapi.json", credential="")
    assert answer.headers["content-type"] == wire.JSON
    return json.loads(answer.content)  # type: ignore[no-any-return]


async def test_the_document_has_each_route_and_verb(
    http: HttpApi, described: dict[str, Any]
) -> None:
    """What is served is described, and nothing else."""
    served = {
        (verb, route.path.replace(":path", ""))
        for route in falcon.inspect.inspect_routes(http.app)
        for verb in [each.method for each in route.methods if not each.internal]
    }
    documented = {
        (verb.upper(), path) for path, verbs in described["paths"].items() for verb in verbs
    }

    assert documented == served == {(route.verb, route.address) for route in SERVED}


async def test_each_schema_is_valid(described: dict[str, Any]) -> None:
    """Each schema is valid JSON Schema, and each reference resolves."""
    for name, schema in described["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema)
        whole = {**schema, "components": described["components"]}
        jsonschema_rs.Draft202012Validator(whole)
        assert schema["title"] == name


async def test_each_operation_has_a_summary_and_a_credential(described: dict[str, Any]) -> None:
    """Only the operations that are open to all have no credential, and those that browsers ask."""
    open_paths = set()
    for path, verbs in described["paths"].items():
        for verb, each in verbs.items():
            assert each["summary"].endswith((".", "`.", "?", "`")), (path, verb, each["summary"])
            if not each["security"] and verb != "options":
                open_paths.add(path)

    public = "/public/{account}/{key}"
    assert open_paths == {"/v1/health", "/v1/openapi.json", "/v1/slots", public}
