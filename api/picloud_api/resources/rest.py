"""`/v1/rest`: functions that are published as web services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire.rest import (
    EndpointInfo,
    EndpointKeyMade,
    EndpointKeyRequest,
    EndpointKeysListed,
    EndpointRequest,
    EndpointsListed,
    EndpointsRequest,
    Invoked,
    InvokeRequest,
    PublishRequest,
    RemoveEndpointRequest,
    RevokeEndpointKeyRequest,
    RollbackRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class EndpointResource:
    """The endpoints of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._endpoints = use_cases.rest.endpoints
        self._keys = use_cases.rest.keys

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Publish a function."""
        account = await self._account(request)
        body = await read_body(request, PublishRequest)
        await write_body(request, response, await self._endpoints.publish(account, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List endpoints."""
        account = await self._account(request)
        await read_body(request, EndpointsRequest)
        await write_body(request, response, await self._endpoints.list(account))

    async def on_post_info(self, request: Request, response: Response) -> None:
        """Return an endpoint."""
        account = await self._account(request)
        body = await read_body(request, EndpointRequest)
        await write_body(request, response, await self._endpoints.info(account, body.label))

    async def on_post_invoke(self, request: Request, response: Response) -> None:
        """Call a published function."""
        account = await self._account(request)
        body = await read_body(request, InvokeRequest)
        await write_body(request, response, await self._endpoints.invoke(account, body))

    async def on_post_rollback(self, request: Request, response: Response) -> None:
        """Make another version the current one."""
        account = await self._account(request)
        body = await read_body(request, RollbackRequest)
        info = await self._endpoints.rollback(account, body.label, body.version)
        await write_body(request, response, info)

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove an endpoint."""
        account = await self._account(request)
        body = await read_body(request, RemoveEndpointRequest)
        await self._endpoints.remove(account, body.label, body.request_id)
        await write_body(request, response, Answer())

    async def on_post_keys(self, request: Request, response: Response) -> None:
        """Create a key of an endpoint."""
        account = await self._account(request)
        body = await read_body(request, EndpointKeyRequest)
        await write_body(request, response, await self._keys.create(account, body))

    async def on_post_keys_list(self, request: Request, response: Response) -> None:
        """List the keys of an endpoint."""
        account = await self._account(request)
        body = await read_body(request, EndpointRequest)
        await write_body(request, response, await self._keys.list(account, body.label))

    async def on_post_keys_revoke(self, request: Request, response: Response) -> None:
        """Revoke a key of an endpoint."""
        account = await self._account(request)
        body = await read_body(request, RevokeEndpointKeyRequest)
        await self._keys.revoke(account, body)
        await write_body(request, response, Answer())


ROUTES: Final = (
    post("/v1/rest", EndpointResource, PublishRequest, EndpointInfo),
    post("/v1/rest/list", EndpointResource, EndpointsRequest, EndpointsListed),
    post("/v1/rest/info", EndpointResource, EndpointRequest, EndpointInfo),
    post("/v1/rest/invoke", EndpointResource, InvokeRequest, Invoked),
    post("/v1/rest/rollback", EndpointResource, RollbackRequest, EndpointInfo),
    post("/v1/rest/remove", EndpointResource, RemoveEndpointRequest, Answer),
    post("/v1/rest/keys", EndpointResource, EndpointKeyRequest, EndpointKeyMade),
    post("/v1/rest/keys/list", EndpointResource, EndpointRequest, EndpointKeysListed),
    post("/v1/rest/keys/revoke", EndpointResource, RevokeEndpointKeyRequest, Answer),
)
