"""`/v1/grants`: what accounts may use without paying; administrators make grants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.grant import (
    EndGrantRequest,
    GrantMade,
    GrantRequest,
    GrantsListed,
    GrantsRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.use_cases import UseCases


class GrantResource:
    """The grants of the account whose key a request sends, or of one that it names."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._grants = use_cases.accounts.grants

    async def _holder(self, request: Request) -> Holder:
        return await authenticate(request, self._accounts.holder)

    async def on_post(self, request: Request, response: Response) -> None:
        """Grant an account some use."""
        holder = await self._holder(request)
        body = await read_body(request, GrantRequest)
        made = GrantMade(grant=await self._grants.grant(holder, body))
        await write_body(request, response, made)

    async def on_post_end(self, request: Request, response: Response) -> None:
        """End a grant."""
        holder = await self._holder(request)
        body = await read_body(request, EndGrantRequest)
        ended = GrantMade(grant=await self._grants.end(holder, body))
        await write_body(request, response, ended)

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List grants, and the free core hours."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, GrantsRequest)
        if body.account is not None:
            account = await self._grants.account(await self._holder(request), body.account)
        await write_body(request, response, await self._grants.list(account))


_KEY: Final = Credential.KEY
ROUTES: Final = (
    post("/v1/grants", GrantResource, GrantRequest, GrantMade, _KEY),
    post("/v1/grants/end", GrantResource, EndGrantRequest, GrantMade, _KEY),
    post("/v1/grants/list", GrantResource, GrantsRequest, GrantsListed),
)
