"""`/v1/usage`: what an account has stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class UsageResource:
    """The storage of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._usage = use_cases.storage.usage

    async def on_post(self, request: Request, response: Response) -> None:
        """Return how much is stored."""
        account = set_account(request, await authenticate(request, self._accounts.authenticate))
        await read_body(request, wire.UsageRequest)
        await write_body(request, response, await self._usage.measure(account))


ROUTES: Final = (post("/v1/usage", UsageResource, wire.UsageRequest, wire.AccountUsage),)
