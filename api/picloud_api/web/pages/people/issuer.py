"""`/sign-in/issuer`: to the page of an issuer of OpenID Connect, and back from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import falcon
from picloud_model.errors import KeyRefused

from picloud_api.usecases.accounts.people.identity import ATTEMPT_S
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import set_cookie

if TYPE_CHECKING:
    from falcon.asgi import App, Request, Response

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitors

_PATH: Final = "/sign-in/issuer"
RETURN: Final = f"{_PATH}/return"
"""The path to which the issuer sends browsers back."""


class IssuerPage:
    """Sends browsers to the issuer, and signs in those that come back."""

    def __init__(self, use_cases: UseCases, visitors: Visitors) -> None:
        self._identities = use_cases.accounts.identities
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Send a browser to the issuer, perhaps in order to accept an invitation."""
        link = request.get_param("invitation") or ""
        begun = await self._identities.begin(_redirect_uri(request), link)
        set_cookie(request, response, _cookie(request), begun.ticket, age_s=ATTEMPT_S, path=_PATH)
        response.status = falcon.HTTP_303
        response.location = begun.address

    async def on_get_return(self, request: Request, response: Response) -> None:
        """Sign in a browser that comes back."""
        tickets = request.get_cookie_values(_cookie(request)) or [""]
        state, code = request.get_param("state") or "", request.get_param("code")
        set_cookie(request, response, _cookie(request), "", age_s=0, path=_PATH)
        if code is None:
            raise KeyRefused(f"{self._identities.issuer} did not confirm who you are.")
        session = await self._identities.finish(tickets[0], state, code, _redirect_uri(request))
        await self._visitors.sign_in(request, response, session)
        go_to(response, "/jobs")


def _redirect_uri(request: Request) -> str:
    return f"{request.forwarded_prefix}{RETURN}"


def _cookie(request: Request) -> str:
    return f"picloud_issuer_{request.port}"


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    del renderer
    page = IssuerPage(use_cases, visitors)
    app.add_route(_PATH, page)
    app.add_route(RETURN, page, suffix="return")
