"""`/v1/keys`, `/v1/accounts`: API keys and accounts; for holders of a key, not for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.accounts.account import Holder
    from picloud_api.usecases.use_cases import UseCases


class KeyResource:
    """The keys of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._keys = use_cases.accounts.keys

    async def _holder(self, request: Request) -> Holder:
        return await authenticate(request, self._accounts.holder)

    async def on_post(self, request: Request, response: Response) -> None:
        """Create a key."""
        holder = await self._holder(request)
        body = await read_body(request, wire.KeyRequest)
        await write_body(request, response, await self._keys.create(holder, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List keys, without their secrets."""
        holder = await self._holder(request)
        body = await read_body(request, wire.KeysRequest)
        await write_body(request, response, await self._keys.list(holder, body))

    async def on_post_activate(self, request: Request, response: Response) -> None:
        """Activate a key."""
        holder = await self._holder(request)
        body = await read_body(request, wire.KeyIdRequest)
        key = await self._keys.set_active(holder, body.id, active=True)
        await write_body(request, response, key)

    async def on_post_deactivate(self, request: Request, response: Response) -> None:
        """Deactivate a key."""
        holder = await self._holder(request)
        body = await read_body(request, wire.KeyIdRequest)
        key = await self._keys.set_active(holder, body.id, active=False)
        await write_body(request, response, key)


class AccountResource:
    """All accounts, for administrators."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._keys = use_cases.accounts.keys

    async def on_post(self, request: Request, response: Response) -> None:
        """Create an account and its first key."""
        holder = await authenticate(request, self._accounts.holder)
        body = await read_body(request, wire.AccountRequest)
        await write_body(request, response, await self._keys.create_account(holder, body))

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List accounts."""
        holder = await authenticate(request, self._accounts.holder)
        await read_body(request, wire.AccountsRequest)
        await write_body(request, response, await self._keys.accounts(holder))


_KEY: Final = Credential.KEY
ROUTES: Final = (
    post("/v1/keys", KeyResource, wire.KeyRequest, wire.KeyMade, _KEY),
    post("/v1/keys/list", KeyResource, wire.KeysRequest, wire.KeysListed, _KEY),
    post("/v1/keys/activate", KeyResource, wire.KeyIdRequest, wire.ListedKey, _KEY),
    post("/v1/keys/deactivate", KeyResource, wire.KeyIdRequest, wire.ListedKey, _KEY),
    post("/v1/accounts", AccountResource, wire.AccountRequest, wire.KeyMade, _KEY),
    post("/v1/accounts/list", AccountResource, wire.AccountsRequest, wire.AccountsListed, _KEY),
)
