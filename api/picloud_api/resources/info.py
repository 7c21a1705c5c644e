"""`/v1/jobs/info`, `list`, `batches` and `delete`: what is known of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, write_body, write_list
from picloud_api.resources.in_flight import account_of
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from collections.abc import Sequence

    from falcon.asgi import Request, Response
    from picloud_model.ranges import Range

    from picloud_api.usecases.use_cases import UseCases


class InfoResource:
    """What is known of the jobs of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._jobs = use_cases.jobs

    async def _account(self, request: Request) -> str:
        return account_of(await authenticate(request, self._accounts.recognise))

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return what is known of jobs."""
        account = await self._account(request)
        body = await read_body(request, wire.InfoRequest)
        infos = await self._jobs.info.info(account, body)
        await write_list(request, response, infos, "jobs")

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List jobs."""
        account = await self._account(request)
        body = await read_body(request, wire.ListRequest)
        listed = await self._jobs.listing.list(account, body)
        await write_list(request, response, listed, "jobs")

    async def on_post_batches(self, request: Request, response: Response) -> None:
        """List batches."""
        account = await self._account(request)
        body = await read_body(request, wire.BatchesRequest)
        listed = await self._jobs.listing.batches(account, body)
        await write_list(request, response, listed, "batches")

    async def _deleted(self, account: str, jids: Sequence[Range] | None) -> wire.Deleted:
        if jids is None:
            return await self._jobs.delete.delete_finished(account)
        return await self._jobs.delete.delete(account, jids)

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete what is known of jobs."""
        account = await self._account(request)
        body = await read_body(request, wire.DeleteRequest)
        await write_body(request, response, await self._deleted(account, body.jids))


ROUTES: Final = (
    post("/v1/jobs/info", InfoResource, wire.InfoRequest, wire.JobInfos),
    post("/v1/jobs/list", InfoResource, wire.ListRequest, wire.JobsListed),
    post("/v1/jobs/batches", InfoResource, wire.BatchesRequest, wire.BatchesListed),
    post("/v1/jobs/delete", InfoResource, wire.DeleteRequest, wire.Deleted),
)
