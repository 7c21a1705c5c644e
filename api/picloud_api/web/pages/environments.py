"""`/environments`: what jobs of an account find besides their modules, and earlier versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from picloud_model.errors import PathNotFound
from picloud_model.wire.environment import (
    DeleteEnvironmentRequest,
    EditEnvironmentRequest,
    EnvironmentLogRequest,
    PublishEnvironmentRequest,
    RollBackEnvironmentRequest,
)

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

SHOWN_CHARACTERS: Final = 16 * 1024
"""How much of the end of a build's log the page shows; `picloud env log` has all of it."""


class EnvironmentsPage:
    """The environments of an account, and the public ones of others."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._environments = use_cases.environments.environments
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the environments of the account, and the public ones of others."""
        visitor = await self._visitors.of(request)
        own = (await self._environments.list(visitor.account, public=False)).environments
        public = (await self._environments.list(visitor.account, public=True)).environments
        paths = {each.path for each in own}
        self._renderer.show(
            response,
            "environments.html",
            visitor,
            own=own,
            others=[each for each in public if each.path not in paths],
            bases=(await self._environments.bases()).bases,
        )

    async def on_get_one(self, request: Request, response: Response, name: str) -> None:
        """Show an environment: its packages, its versions, and the log of the latest build."""
        visitor = await self._visitors.of(request)
        asked = msgspec.convert({"name": name}, EnvironmentLogRequest)
        environment = await self._environments.get(visitor.account, asked.name)
        log = (await self._environments.log(visitor.account, asked)).text
        self._renderer.show(
            response,
            "environment.html",
            visitor,
            environment=environment,
            log=log[-SHOWN_CHARACTERS:],
            is_cut=len(log) > SHOWN_CHARACTERS,
        )

    async def on_post_verb(
        self, request: Request, response: Response, name: str, verb: str
    ) -> None:
        """Describe, publish, withdraw, roll back or delete an environment."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        address = f"/environments/{name}"
        if verb == "describe":
            values: dict[str, object] = {"name": name, "new_desc": text_of(fields, "desc")}
            await self._environments.edit(
                visitor.account, msgspec.convert(values, EditEnvironmentRequest)
            )
        elif verb in ("publish", "withdraw"):
            values = {"name": name, "public": verb == "publish"}
            await self._environments.publish(
                visitor.account, msgspec.convert(values, PublishEnvironmentRequest)
            )
        elif verb == "rollback":
            values = {"name": name, "number": text_of(fields, "number")}
            # Not strict: a number in a form is text.
            wanted = msgspec.convert(values, RollBackEnvironmentRequest, strict=False)
            await self._environments.roll_back(visitor.account, wanted)
        elif verb == "delete":
            deleted = msgspec.convert({"name": name}, DeleteEnvironmentRequest)
            await self._environments.delete(visitor.account, deleted.name)
            address = "/environments"
        else:
            raise PathNotFound
        go_to(response, address)


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = EnvironmentsPage(use_cases, renderer, visitors)
    app.add_route("/environments", page)
    app.add_route("/environments/{name}", page, suffix="one")
    app.add_route("/environments/{name}/{verb}", page, suffix="verb")
