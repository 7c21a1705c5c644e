"""`/endpoints`: the published functions of an account, each with a form that calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
from picloud_model import wire
from picloud_model.errors import ArgumentRefused, PathNotFound, TooLarge
from picloud_model.wire.rest import EndpointRequest, InvokeRequest, RollbackRequest

from picloud_api.errors import status_of
from picloud_api.resources.endpoint_document import endpoint_document
from picloud_api.usecases.rest.arguments.argument_type import as_text, noun_of
from picloud_api.usecases.rest.arguments.call_arguments import json_or_text
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from falcon.asgi import App, Request, Response
    from picloud_model.wire.rest import EndpointInfo, Parameter

    from picloud_api.usecases.rest.arguments.call_arguments import Texts
    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitor, Visitors

ARGUMENT: Final = "argument-"
"""What the fields of arguments begin with: a parameter may be called as another field is."""
_MORE: Final = "more"
_HINTS: Final = {
    "any": "text or JSON",
    "dict": "{}",
    "list": "[]",
    "int": "a whole number",
    "float": "a number",
}
_JSON_KINDS: Final = ("any", "dict", "list", "object", "tuple", "union")


class EndpointsPage:
    """The published functions of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._endpoints = use_cases.rest.endpoints
        self._published = use_cases.jobs.published_site
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the functions."""
        visitor = await self._visitors.of(request)
        endpoints = (await self._endpoints.list(visitor.account)).endpoints
        self._renderer.show(response, "endpoints.html", visitor, endpoints=endpoints)

    async def on_get_one(self, request: Request, response: Response, label: str) -> None:
        """Show a function, with a form for its arguments."""
        visitor = await self._visitors.of(request)
        endpoint = await self._endpoints.info(visitor.account, _label(label))
        self._show(response, visitor, endpoint, {})

    async def on_post_one(self, request: Request, response: Response, label: str) -> None:
        """Call a function; the page of the job shows its result.

        Arguments that do not fit are shown again, with what is wrong.
        """
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        endpoint = await self._endpoints.info(visitor.account, _label(label))
        try:
            given, texts = read_fields(endpoint.parameters, fields)
            # The form has an id, so that sending it twice is one job.
            values = {"label": label, "submit_id": text_of(fields, "submit_id"), "calls": [given]}
            call = msgspec.convert(values, InvokeRequest)
            invoked = await self._endpoints.invoke(visitor.account, call, texts)
        except (ArgumentRefused, TooLarge) as error:
            response.status = status_of(error)
            self._show(response, visitor, endpoint, fields, error.message)
            return
        go_to(response, f"/jobs/{invoked.first}")

    async def on_get_verb(
        self, request: Request, response: Response, label: str, verb: str
    ) -> None:
        """Return the OpenAPI document of a function."""
        visitor = await self._visitors.of(request)
        if verb != "openapi":
            raise PathNotFound
        endpoint = await self._endpoints.info(visitor.account, _label(label))
        response.content_type = wire.JSON
        response.data = wire.encode(endpoint_document(endpoint), wire.JSON)

    async def on_post_verb(
        self, request: Request, response: Response, label: str, verb: str
    ) -> None:
        """Remove a function, or make another version of it the current one."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        if verb == "remove":
            await self._endpoints.remove(visitor.account, _label(label))
            go_to(response, "/endpoints")
        elif verb == "rollback":
            values = {"label": label, "version": text_of(fields, "version")}
            # Not strict: a number in a form is text.
            wanted = msgspec.convert(values, RollbackRequest, strict=False)
            await self._endpoints.rollback(visitor.account, wanted.label, wanted.version)
            go_to(response, f"/endpoints/{label}")
        else:
            raise PathNotFound

    def _show(
        self,
        response: Response,
        visitor: Visitor,
        endpoint: EndpointInfo,
        fields: Mapping[str, list[str]],
        problem: str = "",
    ) -> None:
        given = {each.name: text_of(fields, ARGUMENT + each.name) for each in endpoint.parameters}
        self._renderer.show(
            response,
            "endpoint.html",
            visitor,
            endpoint=endpoint,
            address=f"{self._published.url}{endpoint.path}",
            given=given,
            more=text_of(fields, _MORE),
            problem=problem,
            prefix=ARGUMENT,
            json_names=[each.name for each in endpoint.parameters if _kind(each) in _JSON_KINDS],
            choices={each.name: choices_of(each) for each in endpoint.parameters},
            hints={each.name: _hint(each) for each in endpoint.parameters},
            new_id=uuid4().hex,
        )


def read_fields(
    parameters: Sequence[Parameter], fields: Mapping[str, list[str]]
) -> tuple[dict[str, Any], Texts]:
    """Return the arguments of a form: those that are values, and those that are text.

    An optional parameter whose field is empty is left out. What may be any value of JSON, a list
    or an object is read as JSON; other text stays text.

    Raises:
        ArgumentRefused: When the further arguments are not an object of JSON.

    >>> from picloud_model.wire.rest import Parameter
    >>> x, y = Parameter(name="x", kind="int"), Parameter(name="y", kind="list")
    >>> read_fields([x, y], {"argument-x": ["5"], "argument-y": ["[1, 2]"]})
    ({'y': [1, 2]}, {'x': ['5']})
    """
    given: dict[str, Any] = {}
    texts: Texts = {}
    if more := text_of(fields, _MORE).strip():
        given = json_or_text(more)
        if not isinstance(given, dict):
            raise ArgumentRefused('The further arguments must be an object of JSON: {"name": 1}.')
    for each in parameters:
        text = text_of(fields, ARGUMENT + each.name)
        if not text and not each.required:
            continue
        if _kind(each) in _JSON_KINDS or (each.nullable and text.strip() == "null"):
            given[each.name] = json_or_text(text)
        else:
            texts[each.name] = [text]
    return given, texts


def choices_of(parameter: Parameter) -> list[str]:
    """Return the texts that a parameter may be; none if there are too many to choose from.

    >>> from picloud_model.wire.rest import Parameter
    >>> choices_of(Parameter(name="x", kind="bool", nullable=True))
    ['true', 'false', 'null']
    """
    null = ["null"] * parameter.nullable
    if parameter.kind == "bool":
        return ["true", "false", *null]
    if parameter.type is None or parameter.type.kind != "literal":
        return []
    return [*map(as_text, parameter.type.values), *null]


def _hint(parameter: Parameter) -> str:
    """Return what the field of a parameter shows while it is empty."""
    if parameter.type is None:
        return _HINTS.get(parameter.kind, "text")
    return noun_of(parameter.type) + " as JSON" * (parameter.type.kind in _JSON_KINDS)


def _kind(parameter: Parameter) -> str:
    return parameter.type.kind if parameter.type is not None else parameter.kind


def _label(text: str) -> str:
    return msgspec.convert({"label": text}, EndpointRequest).label


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = EndpointsPage(use_cases, renderer, visitors)
    app.add_route("/endpoints", page)
    app.add_route("/endpoints/{label}", page, suffix="one")
    app.add_route("/endpoints/{label}/{verb}", page, suffix="verb")
