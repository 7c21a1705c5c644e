"""What the OpenAPI document shows an attacker: operations, their credentials, a body for each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

from picloud_api.resources.openapi import SERVED, document
from picloud_model.wire.notebook import NOTEBOOK_NAME_PATTERN
from picloud_model.wire.tunnel import SSH_KEY_PATTERN

from tests.e2e.request_bodies import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT: Final[dict[str, Any]] = document(SERVED, "test")
"""The document as a running server serves it; a test compares them."""
SCHEMAS: Final = DOCUMENT["components"]["schemas"]
FITTING: Final = {
    "^[0-9a-f]{32}$": lambda: uuid4().hex,
    "^[0-9a-f]{64}$": lambda: "0" * 64,
    "^[0-9a-f]{12}$": lambda: "0" * 12,
    NOTEBOOK_NAME_PATTERN: lambda: "x",
    SSH_KEY_PATTERN: lambda: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}",
}
"""A text for each pattern of the wire."""


class Target:
    """One method of one address."""

    def __init__(self, verb: str, path: str) -> None:
        self.verb, self.path = verb, path
        self.operation = DOCUMENT["paths"][path][verb.lower()]
        self.wants = {name for each in self.operation["security"] for name in each}
        content = self.operation.get("requestBody", {}).get("content", {})
        self.schema = content.get("application/json", {}).get("schema")
        self.is_bytes = "application/octet-stream" in content
        parameters = self.operation.get("parameters", ())
        self.query = {each["name"]: each for each in parameters if each["in"] == "query"}
        self.fields: dict[str, Any] = resolved(self.schema or {}).get("properties", {})
        self.fields |= {name: each["schema"] for name, each in self.query.items()}

    def __repr__(self) -> str:
        return f"{self.verb} {self.path}"

    def body(self, **changed: Any) -> Any:
        """Return the smallest body of the right form, with some fields changed."""
        if self.is_bytes:
            return b"bytes"
        if self.path == "/v1/jobs":  # the form alone makes no job: arguments have to fit
            return {**GOOD[self.path][1], "submit_id": uuid4().hex, **changed}
        return None if self.schema is None else {**example(self.schema), **changed}

    def address(self, digest: str = "0" * 64, **changed: Any) -> str:
        """Return the address with its parts and required parameters, some of them changed."""
        path = re.sub(r"{\w+}", "x", self.path.replace("{digest}", digest))
        required = {name: 1 for name, each in self.query.items() if each["required"]}
        query = [f"{name}={quote(str(each))}" for name, each in (required | changed).items()]
        return "?".join([path, *filter(None, ["&".join(query)])])


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema that a reference names."""
    if "$ref" in schema:
        schema_named: dict[str, Any] = SCHEMAS[schema["$ref"].rpartition("/")[2]]
        return schema_named
    return schema


def example(schema: dict[str, Any]) -> Any:
    """Return the smallest value of a schema, with its required fields only."""
    schema = resolved(schema)
    for fixed in ("default", "const"):
        if fixed in schema:
            return schema[fixed]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    return _MAKERS[schema.get("type", "null")](schema)


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    fields = schema.get("properties", {})
    return {name: example(fields[name]) for name in schema.get("required", ())}


def _array(schema: dict[str, Any]) -> list[Any]:
    return [example(each) for each in schema.get("prefixItems", [])[: schema.get("minItems", 0)]]


_MAKERS: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "object": _object,
    "array": _array,
    "string": lambda schema: FITTING.get(schema.get("pattern", ""), lambda: "x")(),
    "boolean": lambda schema: False,
    "integer": lambda schema: schema.get("minimum", 1),
    "number": lambda schema: schema.get("minimum", 1),
    "null": lambda schema: None,
}

TARGETS: Final = [Target(route.verb, route.address) for route in SERVED]
"""Every operation."""
GUARDED: Final = [target for target in TARGETS if target.wants and target.verb != "HEAD"]
"""Every operation that requires a credential; a reply to HEAD has no body to look at."""
