"""`/sign-in`, `/sign-out`: a link, a password or an API key begins a session; a form ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon
from picloud_model.errors import KeyRefused, NotAllowed

from picloud_api.usecases.accounts.people.person import key_of
from picloud_api.web.failure_delay import FailureDelay
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import check_origin, read_form, sign_out, text_of

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors


class SignInPage:
    """Signs browsers in and out."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._sessions = use_cases.accounts.sessions
        self._people = use_cases.accounts.people
        self._issuer = use_cases.accounts.identities.issuer
        self._renderer = renderer
        self._visitors = visitors
        self._delay = FailureDelay()
        self._delay_of_names = FailureDelay()

    def _show(self, response: Response, message: str = "", name: str = "") -> None:
        takes_keys = self._sessions.takes_keys
        values = {"takes_keys": takes_keys, "message": message, "name": name}
        values["issuer"] = self._issuer if takes_keys else ""
        self._renderer.show(response, "sign_in.html", None, **values)

    async def on_get(self, request: Request, response: Response) -> None:
        """Show how to sign in."""
        del request
        self._show(response)

    async def on_post(self, request: Request, response: Response) -> None:
        """Sign in with a name and a password, or with an API key."""
        check_origin(request)
        fields = await read_form(request)
        name, key = text_of(fields, "name"), text_of(fields, "key").strip()
        try:
            async with self._delay.attempt(request.remote_addr):
                if "key" in fields:
                    session = await self._sessions.sign_in(key)
                else:
                    session = await self._with_password(name, text_of(fields, "password"))
        except KeyRefused as error:
            response.status = falcon.HTTP_401
            message = "This is not an active API key." if "key" in fields else error.message
            self._show(response, message, name)
            return
        await self._visitors.sign_in(request, response, session)
        go_to(response, "/jobs")

    async def _with_password(self, name: str, password: str) -> str:
        """Sign in by a name; guesses for one name wait, too, if they come from many addresses."""
        async with self._delay_of_names.attempt(key_of(name)):
            return await self._people.sign_in(name, password)

    async def on_get_link(self, request: Request, response: Response, link: str) -> None:
        """Sign in with a link of `picloud open`."""
        if request.get_header("Sec-Fetch-Site") == "cross-site":
            message = "Another site has sent you here: open the link of `picloud open` itself."
            raise NotAllowed(message)
        await self._visitors.sign_in(request, response, await self._sessions.use_link(link))
        go_to(response, "/jobs")

    async def on_post_out(self, request: Request, response: Response) -> None:
        """Sign this browser out, or all browsers of the person or else of the account."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        if "everywhere" in fields:
            await self._sessions.end_all(visitor.holder)
        sign_out(request, response)
        go_to(response, "/sign-in")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = SignInPage(use_cases, renderer, visitors)
    app.add_route("/sign-in", page)
    app.add_route("/sign-in/{link}", page, suffix="link")
    app.add_route("/sign-out", page, suffix="out")
