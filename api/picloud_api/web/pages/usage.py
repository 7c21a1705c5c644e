"""`/usage`: what an account has stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class UsagePage:
    """The storage that an account uses."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._usage = use_cases.storage.usage
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show how much is stored."""
        visitor = await self._visitors.of(request)
        usage = await self._usage.measure(visitor.account)
        self._renderer.show(response, "usage.html", visitor, usage=usage)


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    app.add_route("/usage", UsagePage(use_cases, renderer, visitors))
