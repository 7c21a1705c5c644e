"""`/v1/blobs`: content-addressed bytes of an account, for clients and slots."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import falcon
from picloud_model import wire

from picloud_api.resources.body import (
    authenticate,
    hold_bytes,
    read_body,
    read_bytes,
    reauthenticate,
    write_body,
)
from picloud_api.resources.route import Credential, Route, post
from picloud_api.usecases.accounts.account import Caller
from picloud_api.usecases.accounts.slot_token import is_token
from picloud_api.usecases.storage.blob import StoredBlob

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases

BLOB_BYTES: Final = wire.MAX_RESULT_BYTES + 1024


class BlobResource:
    """The blobs of the account whose key, or whose slot's token, a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._slots = use_cases.slots.slots
        self._blobs = use_cases.storage.blobs
        self._quota = use_cases.accounts.quota

    async def _account(self, request: Request) -> str:
        return (await authenticate(request, self._sender)).account

    async def _sender(self, credential: str) -> Caller:
        if is_token(credential):
            return Caller((await self._slots.recognise(credential)).pool.account)
        return await self._accounts.recognise(credential)

    async def on_post(self, request: Request, response: Response) -> None:
        """Store several small blobs."""
        account = await self._account(request)
        body = await read_body(request, wire.StoreBlobsRequest, wire.REQUEST_BYTES)
        await write_body(request, response, await self._blobs.store(account, body.blobs))

    async def on_post_missing(self, request: Request, response: Response) -> None:
        """Return which blobs are not stored."""
        account = await self._account(request)
        body = await read_body(request, wire.MissingBlobsRequest)
        await self._quota.check_budgets(account, body.jobs)
        await write_body(request, response, await self._blobs.missing(account, body))

    async def on_post_read(self, request: Request, response: Response) -> None:
        """Return several small blobs."""
        account = await self._account(request)
        body = await read_body(request, wire.ReadBlobsRequest)
        hold = partial(hold_bytes, request)
        await write_body(request, response, await self._blobs.read(account, body.digests, hold))

    async def on_put_one(self, request: Request, response: Response, digest: str) -> None:
        """Store one blob of any size."""
        account = await self._account(request)
        await self._blobs.put(account, digest, await read_bytes(request, BLOB_BYTES))
        await write_body(request, response, wire.BlobsStored(digests=[digest]))

    async def on_get_one(self, request: Request, response: Response, digest: str) -> None:
        """Return one blob, or redirect to it."""
        blob = await self._blobs.get(await self._account(request), digest)
        await reauthenticate(request)
        if isinstance(blob, StoredBlob):
            response.content_type = "application/octet-stream"
            if blob.is_whole:
                response.data = blob.first
            else:
                response.set_stream(blob.pieces(), blob.size)
        else:
            response.status = falcon.HTTP_307
            response.set_header("Location", blob.url)


_ANY: Final = Credential.ANY
ROUTES: Final = (
    post("/v1/blobs", BlobResource, wire.StoreBlobsRequest, wire.BlobsStored, _ANY),
    post("/v1/blobs/missing", BlobResource, wire.MissingBlobsRequest, wire.BlobsMissing, _ANY),
    post("/v1/blobs/read", BlobResource, wire.ReadBlobsRequest, wire.BlobsRead, _ANY),
    Route(
        verb="GET",
        address="/v1/blobs/{digest}",
        resource=BlobResource,
        answer=bytes,
        credential=_ANY,
        summary="Read a blob, or follow a redirect to where it is.",
    ),
    Route(
        verb="PUT",
        address="/v1/blobs/{digest}",
        resource=BlobResource,
        request=bytes,
        answer=wire.BlobsStored,
        credential=_ANY,
        summary="Store a blob under its SHA-256.",
    ),
)
