"""`/reset`: a link of the operator's, by which a person chooses a new password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import RequestRefused

from picloud_api.errors import status_of
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import check_origin, read_form, text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class ResetPage:
    """Lets those who have a link choose a password."""

    def __init__(self, use_cases: UseCases, renderer: Renderer) -> None:
        self._resets = use_cases.accounts.password_resets
        self._renderer = renderer

    async def _show(self, response: Response, link: str, message: str = "") -> None:
        name = await self._resets.read(link)
        values = {"name": name, "link": link, "message": message}
        self._renderer.show(response, "reset.html", None, **values)

    async def on_get(self, request: Request, response: Response, link: str) -> None:
        """Show for whom the link is; it is not used up."""
        del request
        await self._show(response, link)

    async def on_post(self, request: Request, response: Response, link: str) -> None:
        """Change the password, and have the person sign in with it."""
        check_origin(request)
        fields = await read_form(request)
        try:
            await self._resets.use(link, text_of(fields, "password"))
        except RequestRefused as error:
            await self._show(response, link, error.message)
            response.status = status_of(error)
            return
        go_to(response, "/sign-in")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    del visitors
    app.add_route("/reset/{link}", ResetPage(use_cases, renderer))
