"""`/keys`: the API keys of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from picloud_model import wire
from picloud_model.errors import PathNotFound
from picloud_model.wire.role import Role

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitor, Visitors


class KeysPage:
    """The API keys of an account; what they open, a session opens, too."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._keys = use_cases.accounts.keys
        self._renderer = renderer
        self._visitors = visitors

    async def _show(self, response: Response, visitor: Visitor, created: str = "") -> None:
        keys = (await self._keys.list(visitor.holder, wire.KeysRequest())).keys
        own = visitor.holder.role
        roles = [each for each in Role if own.includes(each)]
        values = {"keys": keys, "created": created, "new_id": uuid4().hex, "roles": roles}
        self._renderer.show(response, "keys.html", visitor, **values)

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the keys, without their secrets."""
        await self._show(response, await self._visitors.of(request))

    async def on_post_verb(self, request: Request, response: Response, verb: str) -> None:
        """Create, activate or deactivate a key; a new one is shown in full, now only."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        holder = visitor.holder
        if verb == "create":
            values = {
                "request_id": text_of(fields, "request_id"),
                "role": text_of(fields, "role") or holder.role,
            }
            made = await self._keys.create(holder, msgspec.convert(values, wire.KeyRequest))
            await self._show(response, visitor, made.key)
            return
        if verb not in ("activate", "deactivate"):
            raise PathNotFound
        values = {"id": text_of(fields, "id")}
        key = msgspec.convert(values, wire.KeyIdRequest)
        await self._keys.set_active(holder, key.id, active=verb == "activate")
        go_to(response, "/keys")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = KeysPage(use_cases, renderer, visitors)
    app.add_route("/keys", page)
    app.add_route("/keys/{verb}", page, suffix="verb")
