"""`/volumes`: the volumes of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class VolumesPage:
    """The volumes of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._volumes = use_cases.storage.volumes
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show the volumes."""
        visitor = await self._visitors.of(request)
        volumes = (await self._volumes.list(visitor.account)).volumes
        self._renderer.show(response, "volumes.html", visitor, volumes=volumes)

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete a volume."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        await self._volumes.delete(visitor.account, text_of(fields, "name"))
        go_to(response, "/volumes")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    page = VolumesPage(use_cases, renderer, visitors)
    app.add_route("/volumes", page)
    app.add_route("/volumes/delete", page, suffix="delete")
