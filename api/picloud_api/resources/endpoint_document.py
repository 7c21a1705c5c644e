"""`/r/ACCOUNT/LABEL/openapi`: a published function as an OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_model import wire
from picloud_model.wire.rest import FILES, FORM

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.argument_type import ArgumentType
    from picloud_model.wire.rest import EndpointInfo, Parameter

_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "bool": ("boolean",),
    "int": ("integer",),
    "float": ("number",),
    "str": ("string",),
    "text": ("string", "number"),
    "bytes": ("string",),
    "list": ("array",),
    "dict": ("object",),
}
"""The types of JSON Schema for each kind of parameter; one that is missing takes every value."""
_BASE64: Final = {"format": "byte", "contentEncoding": "base64"}
_SCALARS: Final[dict[str, dict[str, Any]]] = {
    "any": {},
    "null": {"type": "null"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "bytes": {"type": "string", **_BASE64},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "duration": {"type": ["string", "number"]},
    "decimal": {"type": ["string", "number"]},
    "uuid": {"type": "string", "format": "uuid"},
}
"""The JSON Schema of each type without parts."""
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
    schema = _arguments(info, _schema)
    content = {wire.JSON: {"schema": schema}, FORM: {"schema": schema}}
    if any(each.kind == "bytes" for each in info.parameters):
        content[FILES] = {"schema": _arguments(info, _file_schema)}
    return {
        "operationId": "call",
        "summary": f"Call {info.label}.",
        "parameters": [_PREFER, _IDEMPOTENCY_KEY],
        "requestBody": {"required": bool(schema["required"]), "content": content},
        "responses": _responses(info),
    }


def _arguments(
    info: EndpointInfo, schema_of: Callable[[Parameter], dict[str, Any]]
) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {each.name: schema_of(each) for each in info.parameters},
        "required": [each.name for each in info.parameters if each.required],
        "additionalProperties": info.takes_any,
    }


def _file_schema(parameter: Parameter) -> dict[str, Any]:
    """Return the JSON Schema of a parameter in a form with files."""
    return {"contentMediaType": _BINARY} if parameter.kind == "bytes" else _schema(parameter)


def _schema(parameter: Parameter) -> dict[str, Any]:
    if parameter.type is not None:
        found = _schema_of(parameter.type)
        return {"anyOf": [found, {"type": "null"}]} if parameter.nullable else found
    types = _TYPES.get(parameter.kind, ())
    if not types:
        return {}
    names = [*types, "null"] if parameter.nullable else [*types]
    schema: dict[str, Any] = {"type": names[0] if len(names) == 1 else names}
    return {**schema, **_BASE64} if parameter.kind == "bytes" else schema


def _schema_of(kind: ArgumentType) -> dict[str, Any]:
    """Return the JSON Schema of the values of a type."""
    if kind.kind in _SCALARS:
        return _SCALARS[kind.kind]
    return _WITH_PARTS[kind.kind](kind, [_schema_of(each) for each in kind.items])


def _tuple_schema(kind: ArgumentType, items: list[dict[str, Any]]) -> dict[str, Any]:
    del kind
    schema = {"type": "array", "minItems": len(items), "maxItems": len(items)}
    return {**schema, "prefixItems": items} if items else schema


def _object_schema(kind: ArgumentType, items: list[dict[str, Any]]) -> dict[str, Any]:
    del items
    return {
        "type": "object",
        "properties": {each.name: _schema_of(each.type) for each in kind.fields},
        "required": [each.name for each in kind.fields if each.required],
        "additionalProperties": False,
    }


_WITH_PARTS: Final[dict[str, Callable[[ArgumentType, list[dict[str, Any]]], dict[str, Any]]]] = {
    "list": lambda _, items: {"type": "array", "items": items[0]},
    "dict": lambda _, items: {"type": "object", "additionalProperties": items[0]},
    "union": lambda _, items: {"anyOf": items},
    "literal": lambda kind, _: {"enum": kind.values},
    "tuple": _tuple_schema,
    "object": _object_schema,
}


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
