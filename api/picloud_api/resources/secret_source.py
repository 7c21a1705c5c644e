"""`/v1/secret-sources`: what mints secrets for single jobs; administrators define it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire.secret_source import (
    PutSecretSourceRequest,
    SecretSourceRequest,
    SecretSourcesListed,
    SecretSourcesRequest,
)

from picloud_api.resources.body import authenticate, read_body, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.use_cases import UseCases


class SecretSourceResource:
    """The secret sources of the server."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._sources = use_cases.accounts.secret_sources

    async def _holder(self, request: Request) -> Holder:
        return await authenticate(request, self._accounts.holder)

    async def on_post(self, request: Request, response: Response) -> None:
        """Define a source."""
        holder = await self._holder(request)
        await self._sources.put(holder, await read_body(request, PutSecretSourceRequest))
        await write_body(request, response, Answer())

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List sources."""
        holder = await self._holder(request)
        await read_body(request, SecretSourcesRequest)
        await write_body(request, response, await self._sources.list(holder))

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove a source."""
        holder = await self._holder(request)
        body = await read_body(request, SecretSourceRequest)
        await self._sources.remove(holder, body.name)
        await write_body(request, response, Answer())


_KEY: Final = Credential.KEY
_PATH: Final = "/v1/secret-sources"
ROUTES: Final = (
    post(_PATH, SecretSourceResource, PutSecretSourceRequest, Answer, _KEY),
    post(f"{_PATH}/list", SecretSourceResource, SecretSourcesRequest, SecretSourcesListed, _KEY),
    post(f"{_PATH}/remove", SecretSourceResource, SecretSourceRequest, Answer, _KEY),
)
