"""`/v1/openapi.json`: the interface, for clients in other languages."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import wire

from picloud_api.resources.route import Credential, Route
from picloud_api.resources.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases

_REFERENCE: Final = "#/components/schemas/{name}"
_BINARY: Final = "application/octet-stream"
_SCHEMES: Final = {
    "apiKey": ("bearer", "An API key: `pk_<id>_<secret>`."),
    "jobToken": ("bearer", "The token of a job, while it runs: `pj_...`."),
    "slotToken": ("bearer", "The token of a slot; only slots have one."),
    "basic": ("basic", "An API key: its id is the user name, its secret the password."),
}


class OpenApiResource:
    """Open to all: it describes addresses and bodies and holds no data."""

    def __init__(self, use_cases: UseCases) -> None:
        self._version = use_cases.health.version

    @cached_property
    def _document(self) -> bytes:
        return msgspec.json.encode(document(SERVED, self._version))

    async def on_get(self, request: Request, response: Response) -> None:
        """Return the document."""
        del request
        response.content_type = wire.JSON
        response.data = self._document


SERVED: Final = (
    *ROUTES,
    Route(
        verb="GET",
        address="/v1/openapi.json",
        resource=OpenApiResource,
        credential=Credential.NONE,
        answer=dict,
        summary="This document.",
    ),
)
"""Every operation that is served: those on nouns, and this one."""


def document(routes: Sequence[Route], version: str) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document of some routes of a server of a version."""
    bodies = {kind for each in routes for kind in (each.request, each.answer)}
    structs = [kind for kind in bodies if _is_struct(kind)]
    _, schemas = msgspec.json.schema_components(
        sorted([*structs, wire.Problem], key=lambda kind: kind.__name__),
        ref_template=_REFERENCE,
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.address, {})[route.verb.lower()] = _operation(route)
    schemes = {
        name: {"type": "http", "scheme": scheme, "description": text}
        for name, (scheme, text) in _SCHEMES.items()
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


def _operation(route: Route) -> dict[str, Any]:
    description = route.description().strip()
    operation: dict[str, Any] = {
        "summary": description.partition("\n")[0],
        "description": description,
        "security": [{name: []} for name in route.credential.value],
        "responses": {
            "200": {"description": "Done.", "content": _content(route.answer)},
            "default": {"description": "Not done, and why.", "content": _content(wire.Problem)},
        },
    }
    if route.credential is Credential.NONE:
        operation["security"] = []
    if route.answer is bytes:
        operation["responses"]["307"] = {"description": "A redirect to the bytes."}
    if route.may_be_pending:
        pending = {"description": "Begun; not ended yet.", "content": _content(route.answer)}
        operation["responses"]["202"] = pending
    if route.has_ranges:
        part = {"description": "A range of the bytes.", "content": _content(bytes)}
        operation["responses"]["206"] = part
    if route.request is not None:
        operation["requestBody"] = {"required": True, "content": _content(route.request)}
    if parameters := [*_parameters(route)]:
        operation["parameters"] = parameters
    return operation


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", route.address):
        (schema,), _ = msgspec.json.schema_components([_PARAMETERS[name]])
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    for field in msgspec.structs.fields(route.query) if route.query else ():
        (schema,), _ = msgspec.json.schema_components([field.type])
        yield {"name": field.name, "in": "query", "required": field.required, "schema": schema}


def _content(kind: type | None) -> dict[str, Any]:
    if kind is bytes:
        return {_BINARY: {}}
    if kind is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    if not _is_struct(kind):
        return {wire.JSON: {"schema": {"type": "object"}}}
    schema = {"$ref": _REFERENCE.format(name=kind.__name__ if kind else "")}
    content = {wire.JSON: {"schema": schema}, wire.MSGPACK: {"schema": schema}}
    if isinstance(kind, type) and issubclass(kind, wire.OriginalAnswer):
        del content[wire.MSGPACK]
    return content


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


_PARAMETERS: Final[dict[str, Any]] = {
    "digest": wire.Digest,
    "account": str,
    "key": str,
    "label": str,
    "call": str,
    "version": str,
    "path": str,
}
"""The type of each parameter in an address."""
