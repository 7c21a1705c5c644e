"""`/v1/jobs/info`, `/v1/jobs/list`, `/v1/jobs/delete`: what is known of jobs, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

from picloud_api.resources import body as bodies

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Accounts
    from picloud_api.usecases.jobs.delete import Deletion
    from picloud_api.usecases.jobs.info import Information
    from picloud_api.usecases.jobs.listing import Listing


class InfoResource:
    """What is known of the jobs of the account whose key is sent."""

    def __init__(
        self, accounts: Accounts, information: Information, listing: Listing, deletion: Deletion
    ) -> None:
        self._accounts = accounts
        self._information = information
        self._listing = listing
        self._deletion = deletion

    async def on_post(self, request: Request, response: Response) -> None:
        """Tell."""
        account = await bodies.admit(request, self._accounts.authenticate)
        body = await bodies.read(request, wire.InfoRequest)
        await bodies.write(request, response, await self._information.info(account, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List jobs."""
        account = await bodies.admit(request, self._accounts.authenticate)
        body = await bodies.read(request, wire.ListRequest)
        await bodies.write(request, response, await self._listing.list(account, body))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Remove what jobs left."""
        account = await bodies.admit(request, self._accounts.authenticate)
        body = await bodies.read(request, wire.DeleteRequest)
        await bodies.write(request, response, await self._deletion.delete(account, body.jids))
