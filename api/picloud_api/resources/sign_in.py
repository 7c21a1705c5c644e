"""`/v1/sign-ins`: links that sign a browser in; for holders of a key, not for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.sign_in import SignInLink, SignInRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class SignInResource:
    """The sign-in links of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._sessions = use_cases.accounts.sessions

    async def on_post(self, request: Request, response: Response) -> None:
        """Make a link."""
        holder = await authenticate(request, self._accounts.holder)
        set_account(request, holder.account)
        await read_body(request, SignInRequest)
        await write_body(request, response, await self._sessions.create_link(holder))


ROUTES: Final = (post("/v1/sign-ins", SignInResource, SignInRequest, SignInLink, Credential.KEY),)
