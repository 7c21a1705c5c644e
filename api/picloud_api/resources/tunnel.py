"""`/v1/tunnels`: streams to the ports of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire.tunnel import TunnelOpened, TunnelRequest

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class TunnelResource:
    """Streams to the jobs of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._tunnel = use_cases.jobs.tunnel

    async def on_post(self, request: Request, response: Response) -> None:
        """Open a stream."""
        account = set_account(request, await authenticate(request, self._accounts.authenticate))
        body = await read_body(request, TunnelRequest)
        await write_body(request, response, await self._tunnel.open(account, body))


ROUTES: Final = (post("/v1/tunnels", TunnelResource, TunnelRequest, TunnelOpened),)
