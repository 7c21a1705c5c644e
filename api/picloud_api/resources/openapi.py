"""`/v1/openapi.json`: the interface for programs and people in other languages."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import falcon.inspect
import msgspec
from picloud_model import wire

from picloud_api.resources.routes import OPERATIONS, Credential

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.resources.routes import Operation

_REFERENCE: Final = "#/components/schemas/{name}"
_BINARY: Final = "application/octet-stream"
_SCHEMES: Final = {
    "apiKey": "An API key: `pk_<id>_<secret>`.",
    "jobToken": "The token of a job, while it runs: `pj_...`.",
    "slotToken": "The token of a slot; only slots have one.",
}


class OpenApiResource:
    """Open to everybody: it tells of addresses and bodies, of no data.

    Args:
        app: Whose routes are described, those that are added later as well.
        version: Of the server.
    """

    def __init__(self, app: App[Request, Response], version: str) -> None:
        self._app = app
        self._version = version

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(document(routes(self._app), self._version))

    async def on_get(self, request: Request, response: Response) -> None:
        """Send the document."""
        del request
        response.content_type = wire.JSON
        response.data = self._document


def routes(app: App[Request, Response]) -> list[tuple[str, str]]:
    """Every verb and address that is served, in their order."""
    return [
        (method.method, route.path)
        for route in falcon.inspect.inspect_routes(app)
        for method in route.methods
        if not method.internal
    ]


def document(served: list[tuple[str, str]], version: str) -> dict[str, Any]:
    """An OpenAPI 3.1 document of some operations.

    Args:
        served: Their verbs and addresses.
        version: Of the server.

    Raises:
        KeyError: When one of them is not among `OPERATIONS`.
    """
    bodies = {kind for each in OPERATIONS.values() for kind in (each.request, each.answer)}
    structs = [kind for kind in bodies if _is_struct(kind)]
    _, schemas = msgspec.json.schema_components(
        sorted([*structs, wire.Problem], key=lambda kind: kind.__name__),
        ref_template=_REFERENCE,
    )
    paths: dict[str, dict[str, Any]] = {}
    for verb, path in served:
        paths.setdefault(path, {})[verb.lower()] = _operation(path, OPERATIONS[verb, path])
    schemes = {
        name: {"type": "http", "scheme": "bearer", "description": told}
        for name, told in _SCHEMES.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PiCloud",
            "version": version,
            "description": (wire.__doc__ or "").strip(),
        },
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def _operation(path: str, operation: Operation) -> dict[str, Any]:
    told = operation.description().strip()
    found: dict[str, Any] = {
        "summary": told.partition("\n")[0],
        "description": told,
        "security": [{name: []} for name in operation.credential.value],
        "responses": {
            "200": {"description": "Done.", "content": _content(operation.answer)},
            "default": {"description": "Not done; says why.", "content": _content(wire.Problem)},
        },
    }
    if operation.credential is Credential.NONE:
        found["security"] = []
    if operation.answer is bytes:
        found["responses"]["307"] = {"description": "The bytes are elsewhere."}
    if operation.request is not None:
        found["requestBody"] = {"required": True, "content": _content(operation.request)}
    if names := re.findall(r"{(\w+)}", path):
        found["parameters"] = [_parameter(name) for name in names]
    return found


def _parameter(name: str) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([_PARAMETERS[name]])
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _content(kind: type | None) -> dict[str, Any]:
    if kind is bytes:
        return {_BINARY: {}}
    if not _is_struct(kind):
        return {wire.JSON: {"schema": {"type": "object"}}}
    schema = {"$ref": _REFERENCE.format(name=kind.__name__ if kind else "")}
    return {wire.JSON: {"schema": schema}, wire.MSGPACK: {"schema": schema}}


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


_PARAMETERS: Final[dict[str, Any]] = {"digest": wire.Digest}
"""The type of each part of an address that is one."""
