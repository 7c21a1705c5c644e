"""`/v1/dicts`: small values that an account's jobs and clients share by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire import dictionary as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class DictResource:
    """The dictionaries of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._dicts = use_cases.sharing.dicts

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Store a value under a key."""
        account = await self._account(request)
        body = await read_body(request, wire.SetEntryRequest)
        await write_body(request, response, await self._dicts.set(account, body))

    async def on_post_get(self, request: Request, response: Response) -> None:
        """Return an entry of a dictionary."""
        account = await self._account(request)
        body = await read_body(request, wire.EntryRequest)
        await write_body(request, response, await self._dicts.get(account, body))

    async def on_post_entries(self, request: Request, response: Response) -> None:
        """Return the entries of a dictionary."""
        account = await self._account(request)
        body = await read_body(request, wire.EntriesRequest)
        await write_body(request, response, await self._dicts.entries(account, body))

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove an entry, or a dictionary."""
        account = await self._account(request)
        await self._dicts.remove(account, await read_body(request, wire.RemoveEntryRequest))
        await write_body(request, response, Answer())

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List dictionaries."""
        account = await self._account(request)
        await read_body(request, wire.DictsRequest)
        await write_body(request, response, await self._dicts.list(account))


ROUTES: Final = (
    post("/v1/dicts", DictResource, wire.SetEntryRequest, wire.EntrySet),
    post("/v1/dicts/get", DictResource, wire.EntryRequest, wire.EntryRead),
    post("/v1/dicts/entries", DictResource, wire.EntriesRequest, wire.EntriesListed),
    post("/v1/dicts/remove", DictResource, wire.RemoveEntryRequest, Answer),
    post("/v1/dicts/list", DictResource, wire.DictsRequest, wire.DictsListed),
)
