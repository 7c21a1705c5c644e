"""`/v1/locks`: locks, semaphores and leaders of an account's jobs and clients."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from picloud_model.wire import Answer
from picloud_model.wire import lock as wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.hang_up import HungUpError, unless_hung_up
from picloud_api.resources.route import post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class LockResource:
    """The locks of the account whose credential a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._locks = use_cases.sharing.locks

    async def _account(self, request: Request) -> str:
        return set_account(request, await authenticate(request, self._accounts.recognise))

    async def on_post(self, request: Request, response: Response) -> None:
        """Take a lock."""
        caller = await authenticate(request, self._accounts.recognise)
        set_account(request, caller.account)
        body = await read_body(request, wire.AcquireLockRequest)
        # One that is free needs no watch over the connection, which costs two tasks.
        acquired = await self._locks.acquire(caller, replace(body, timeout_s=0.0))
        if not acquired.fence and body.timeout_s:
            with suppress(HungUpError):  # its place in the line is the next one's
                acquired = await unless_hung_up(request, self._locks.acquire(caller, body))
        await write_body(request, response, acquired)

    async def on_post_renew(self, request: Request, response: Response) -> None:
        """Hold locks for longer."""
        account = await self._account(request)
        body = await read_body(request, wire.RenewLocksRequest)
        await write_body(request, response, await self._locks.renew(account, body))

    async def on_post_release(self, request: Request, response: Response) -> None:
        """Give a lock back."""
        account = await self._account(request)
        await self._locks.release(account, await read_body(request, wire.ReleaseLockRequest))
        await write_body(request, response, Answer())

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List the locks that are held."""
        account = await self._account(request)
        await read_body(request, wire.LocksRequest)
        await write_body(request, response, await self._locks.list(account))

    async def on_post_break(self, request: Request, response: Response) -> None:
        """Take a lock away from its holders."""
        account = await self._account(request)
        body = await read_body(request, wire.BreakLockRequest)
        await self._locks.break_lock(account, body.name)
        await write_body(request, response, Answer())


ROUTES: Final = (
    post("/v1/locks", LockResource, wire.AcquireLockRequest, wire.LockAcquired),
    post("/v1/locks/renew", LockResource, wire.RenewLocksRequest, wire.LocksRenewed),
    post("/v1/locks/release", LockResource, wire.ReleaseLockRequest, Answer),
    post("/v1/locks/list", LockResource, wire.LocksRequest, wire.LocksListed),
    post("/v1/locks/break", LockResource, wire.BreakLockRequest, Answer),
)
