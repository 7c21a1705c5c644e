"""`/v1/crons`: jobs that run on a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire.cron import (
    CronInfo,
    CronRequest,
    CronsListed,
    CronsRequest,
    CronStarted,
    DeregisterCronRequest,
    RegisterCronRequest,
    RunCronRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class CronResource:
    """The cron jobs of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._crons = use_cases.crons.crons

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Register a cron job."""
        account = await self._account(request)
        body = await read_body(request, RegisterCronRequest)
        await write_body(request, response, await self._crons.register(account, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List cron jobs."""
        account = await self._account(request)
        await read_body(request, CronsRequest)
        await write_body(request, response, await self._crons.list(account))

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return a cron job."""
        account = await self._account(request)
        body = await read_body(request, CronRequest)
        await write_body(request, response, await self._crons.info(account, body.label))

    async def on_post_run(self, request: Request, response: Response) -> None:
        """Run a cron job now."""
        account = await self._account(request)
        body = await read_body(request, RunCronRequest)
        await write_body(request, response, await self._crons.run(account, body))

    async def on_post_deregister(self, request: Request, response: Response) -> None:
        """Remove a cron job."""
        account = await self._account(request)
        body = await read_body(request, DeregisterCronRequest)
        await self._crons.deregister(account, body.label, body.request_id)
        await write_body(request, response, Answer())


ROUTES: Final = (
    post("/v1/crons", CronResource, RegisterCronRequest, CronInfo),
    post("/v1/crons/list", CronResource, CronsRequest, CronsListed),
    post("/v1/crons/info", CronResource, CronRequest, CronInfo),
    post("/v1/crons/run", CronResource, RunCronRequest, CronStarted),
    post("/v1/crons/deregister", CronResource, DeregisterCronRequest, Answer),
)
