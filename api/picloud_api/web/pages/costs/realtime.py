"""`/realtime`: the cores that an account has reserved; more are reserved and released here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import msgspec
from picloud_model.core import CORE_TYPES
from picloud_model.errors import PathNotFound
from picloud_model.wire.realtime import (
    ChangeReservationRequest,
    ReleaseCoresRequest,
    ReserveCoresRequest,
)

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


class RealtimePage:
    """The reservations of an account that have not ended."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._realtime = use_cases.slots.realtime
        self._prices = use_cases.accounts.prices
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the reservations, and a form for another one."""
        visitor = await self._visitors.of(request)
        prices = (await self._prices.list(visitor.account)).dollars_per_hour
        self._renderer.show(
            response,
            "realtime.html",
            visitor,
            reservations=await self._realtime.list(visitor.account),
            types=[(core, prices[name]) for name, core in CORE_TYPES.items()],
            python=_PYTHON,
            new_id=uuid4().hex,
        )

    async def on_post_verb(self, request: Request, response: Response, verb: str) -> None:
        """Reserve cores, change when a reservation ends, or release it."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        # Not strict: a number in a form is text.
        if verb == "request":
            values = _reserved(fields)
            wanted = msgspec.convert(values, ReserveCoresRequest, strict=False)
            await self._realtime.reserve(visitor.account, wanted)
        elif verb == "change":
            values = _named(fields) | {"hours": text_of(fields, "hours") or None}
            change = msgspec.convert(values, ChangeReservationRequest, strict=False)
            await self._realtime.change(visitor.account, change)
        elif verb == "release":
            release = msgspec.convert(_named(fields), ReleaseCoresRequest, strict=False)
            await self._realtime.release(visitor.account, release.reservation)
        else:
            raise PathNotFound
        go_to(response, "/realtime")


def _named(fields: Mapping[str, list[str]]) -> dict[str, object]:
    return {"reservation": text_of(fields, "reservation")}


def _reserved(fields: Mapping[str, list[str]]) -> dict[str, object]:
    """Return the fields of a form; the id of the form lets it reserve cores once."""
    names = ("request_id", "core_type", "cores", "job_cores", "python")
    values: dict[str, object] = {name: text_of(fields, name) for name in names}
    return values | {name: text_of(fields, name) or None for name in ("hours", "env")}


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = RealtimePage(use_cases, renderer, visitors)
    app.add_route("/realtime", page)
    app.add_route("/realtime/{verb}", page, suffix="verb")
