"""`/v1/jobs/info`, `/v1/jobs/list`, `/v1/jobs/delete`: what is known of jobs, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, write_body

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Accounts
    from picloud_api.usecases.jobs.delete import Delete
    from picloud_api.usecases.jobs.info import Information
    from picloud_api.usecases.jobs.listing import Listing


class InfoResource:
    """What is known of the jobs of the account whose key is sent."""

    def __init__(
        self, accounts: Accounts, information: Information, listing: Listing, deletion: Delete
    ) -> None:
        self._accounts = accounts
        self._information = information
        self._listing = listing
        self._deletion = deletion

    async def on_post(self, request: Request, response: Response) -> None:
        """Tell."""
        account = await authenticate(request, self._accounts.authenticate)
        body = await read_body(request, wire.InfoRequest)
        await write_body(request, response, await self._information.info(account, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List jobs."""
        account = await authenticate(request, self._accounts.authenticate)
        body = await read_body(request, wire.ListRequest)
        await write_body(request, response, await self._listing.list(account, body))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Remove what jobs left."""
        account = await authenticate(request, self._accounts.authenticate)
        body = await read_body(request, wire.DeleteRequest)
        await write_body(request, response, await self._deletion.delete(account, body.jids))
