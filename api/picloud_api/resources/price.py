"""`/v1/prices`: what an hour of a core costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.price import PricesListed, PricesRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class PriceResource:
    """The prices of a server, for each of its accounts."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._prices = use_cases.accounts.prices

    async def on_post(self, request: Request, response: Response) -> None:
        """Return the prices of now."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        body = await read_body(request, PricesRequest)
        listed = await self._prices.list(account, body.env, body.core_type)
        await write_body(request, response, listed)


ROUTES: Final = (post("/v1/prices", PriceResource, PricesRequest, PricesListed),)
