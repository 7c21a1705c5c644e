"""`/r/ACCOUNT/LABEL/openapi`: a published function as an OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model import wire
from picloud_model.wire.rest import FORM

if TYPE_CHECKING:
    from picloud_model.wire.rest import EndpointInfo, Parameter

_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "bool": ("boolean",),
    "int": ("integer",),
    "float": ("number",),
    "str": ("string",),
    "text": ("string", "number"),
    "list": ("array",),
    "dict": ("object",),
}
"""The types of JSON Schema for each kind of parameter; one that is missing takes every value."""
_BINARY: Final = "application/octet-stream"
_JID: Final = {"type": "integer", "description": "The jid of the job."}
_VERSION: Final = {"type": "string", "description": "That of the interface."}


def endpoint_document(info: EndpointInfo) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a published function, in its current version.

    The label is the only name in it: the name of a command is its text, which may hold secrets.

    >>> from picloud_model.wire.rest import EndpointInfo, Parameter
    >>> x = Parameter(name="x", kind="int")
    >>> info = EndpointInfo(
    ...     label="a", path="/r/a1/a", function_name="f", parameters=[x], published_at=0.0
    ... )
    >>> call = endpoint_document(info)["paths"]["/r/a1/a"]["post"]
    >>> call["requestBody"]["content"]["application/json"]["schema"]["properties"]
    {'x': {'type': 'integer'}}
    """
    security: list[dict[str, list[str]]] = [] if info.public else [{"basic": []}]
    place = {"name": "call", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": info.label,
            "version": str(info.version),
            "description": f"The function {info.label}, published with PiCloud.",
        },
        "paths": {
            info.path: {"post": {**_call(info), "security": security}},
            f"{info.path}/jobs/{{call}}": {
                "get": {
                    "operationId": "result",
                    "summary": "Return the result of a call, at the Location of its response.",
                    "parameters": [place, _PREFER],
                    "responses": _responses(info),
                    "security": security,
                }
            },
        },
        "components": {
            "schemas": {"Problem": _PROBLEM},
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "A key: its id is the user name, its secret the password.",
                }
            },
        },
    }


def _call(info: EndpointInfo) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {each.name: _schema(each) for each in info.parameters},
        "required": [each.name for each in info.parameters if each.required],
        "additionalProperties": info.takes_any,
    }
    return {
        "operationId": "call",
        "summary": f"Call {info.label}.",
        "parameters": [_PREFER, _IDEMPOTENCY_KEY],
        "requestBody": {
            "required": bool(schema["required"]),
            "content": {wire.JSON: {"schema": schema}, FORM: {"schema": schema}},
        },
        "responses": _responses(info),
    }


def _schema(parameter: Parameter) -> dict[str, Any]:
    types = _TYPES.get(parameter.kind, ())
    if not types:
        return {}
    names = [*types, "null"] if parameter.nullable else [*types]
    return {"type": names[0] if len(names) == 1 else names}


def _responses(info: EndpointInfo) -> dict[str, Any]:
    begun = {"jid": _JID, "version": _VERSION}
    pending = {"type": "object", "properties": begun}
    done: dict[str, Any]
    if info.out_encoding == "json":
        fields = {**begun, "result": {"description": "What the function returned."}}
        done = {wire.JSON: {"schema": {"type": "object", "properties": fields}}}
    else:
        done = {info.content_type.partition(";")[0].strip() or _BINARY: {}}
    return {
        "200": {"description": "The result.", "content": done},
        "202": {
            "description": "The job has not ended.",
            "headers": {"Location": _LOCATION},
            "content": {wire.JSON: {"schema": pending}},
        },
        "default": {
            "description": "Not done, and why.",
            "content": {wire.JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    }


_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=SECONDS` waits for the result, up to 30 seconds.",
    "schema": {"type": "string"},
    "example": "wait=30",
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Calls with the same key and arguments are the same job.",
    "schema": {"type": "string"},
}
_LOCATION: Final = {"description": "Where the result is.", "schema": {"type": "string"}}
_PROBLEM: Final = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("code", "message", "field")},
    "required": ["code", "message"],
}
