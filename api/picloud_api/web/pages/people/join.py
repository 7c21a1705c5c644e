"""`/join`: an invitation, which a person accepts with a name and a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import KeyRefused, RequestRefused

from picloud_api.errors import status_of
from picloud_api.web.failure_delay import FailureDelay
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import check_origin, read_form, text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class JoinPage:
    """Makes those who accept an invitation members of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._visitors = visitors
        self._invites = use_cases.accounts.invites
        self._issuer = use_cases.accounts.identities.issuer
        self._renderer = renderer
        self._delay = FailureDelay()

    async def _show(self, response: Response, link: str, name: str = "", message: str = "") -> None:
        invitation = await self._invites.read(link)
        values = {"invitation": invitation, "link": link, "name": name, "message": message}
        values["issuer"] = self._issuer
        self._renderer.show(response, "join.html", None, **values)

    async def on_get(self, request: Request, response: Response, link: str) -> None:
        """Show what the invitation is to; it is not used up."""
        del request
        await self._show(response, link)

    async def on_post(self, request: Request, response: Response, link: str) -> None:
        """Accept it, and sign in."""
        check_origin(request)
        fields = await read_form(request)
        name = text_of(fields, "name")
        try:
            async with self._delay.attempt(request.remote_addr):
                session = await self._invites.accept(link, name, text_of(fields, "password"))
        except (KeyRefused, RequestRefused) as error:
            await self._show(response, link, name, error.message)
            response.status = status_of(error)
            return
        await self._visitors.sign_in(request, response, session)
        go_to(response, "/jobs")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the page to the application."""
    app.add_route("/join/{link}", JoinPage(use_cases, renderer, visitors))
