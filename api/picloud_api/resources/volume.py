"""`/v1/volumes`: directories that an account keeps for its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import volume as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class VolumeResource:
    """The volumes of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._volumes = use_cases.storage.volumes

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Create a volume."""
        account = await self._account(request)
        body = await read_body(request, wire.CreateVolumeRequest)
        await write_body(request, response, await self._volumes.create(account, body))

    async def on_post_get(self, request: Request, response: Response) -> None:
        """Return what is known of a volume."""
        account = await self._account(request)
        body = await read_body(request, wire.VolumeRequest)
        await write_body(request, response, await self._volumes.get(account, body.name))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List volumes."""
        account = await self._account(request)
        await read_body(request, wire.ListVolumesRequest)
        await write_body(request, response, await self._volumes.list(account))

    async def on_post_grow(self, request: Request, response: Response) -> None:
        """Return a volume, if it may grow."""
        account = await self._account(request)
        body = await read_body(request, wire.GrowVolumeRequest)
        await write_body(request, response, await self._volumes.grow(account, body))

    async def on_post_commit(self, request: Request, response: Response) -> None:
        """Make a snapshot the latest of a volume."""
        account = await self._account(request)
        body = await read_body(request, wire.CommitVolumeRequest)
        await write_body(request, response, await self._volumes.commit(account, body))

    async def on_post_delete(self, request: Request, response: Response) -> None:
        """Delete a volume."""
        account = await self._account(request)
        body = await read_body(request, wire.DeleteVolumeRequest)
        await self._volumes.delete(account, body.name)
        await write_body(request, response, Answer())


ROUTES: Final = (
    post("/v1/volumes", VolumeResource, wire.CreateVolumeRequest, wire.Volume),
    post("/v1/volumes/get", VolumeResource, wire.VolumeRequest, wire.Volume),
    post("/v1/volumes/list", VolumeResource, wire.ListVolumesRequest, wire.VolumesListed),
    post("/v1/volumes/grow", VolumeResource, wire.GrowVolumeRequest, wire.Volume),
    post("/v1/volumes/commit", VolumeResource, wire.CommitVolumeRequest, wire.Volume),
    post("/v1/volumes/delete", VolumeResource, wire.DeleteVolumeRequest, Answer),
)
