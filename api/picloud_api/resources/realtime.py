"""`/v1/realtime`: reserved cores; jobs may list them, and holders of a key reserve them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.wire import Answer
from picloud_model.wire.realtime import (
    ChangeReservationRequest,
    CoresReserved,
    ReleaseCoresRequest,
    ReservationsListed,
    ReservationsRequest,
    ReserveCoresRequest,
)

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.use_cases import UseCases


class RealtimeResource:
    """The reservations of the account whose key a request sends."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._realtime = use_cases.slots.realtime

    async def _account(self, request: Request) -> str:
        holder = await authenticate(request, self._accounts.holder)
        return set_account(request, holder.account)

    async def on_post(self, request: Request, response: Response) -> None:
        """Reserve cores."""
        account = await self._account(request)
        body = await read_body(request, ReserveCoresRequest)
        reserved = CoresReserved(reservation=await self._realtime.reserve(account, body))
        await write_body(request, response, reserved)

    async def on_post_list(self, request: Request, response: Response) -> None:
        """List reservations that have not ended."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        await read_body(request, ReservationsRequest)
        listed = ReservationsListed(reservations=[*await self._realtime.list(account)])
        await write_body(request, response, listed)

    async def on_post_release(self, request: Request, response: Response) -> None:
        """End a reservation."""
        account = await self._account(request)
        body = await read_body(request, ReleaseCoresRequest)
        await self._realtime.release(account, body.reservation)
        await write_body(request, response, Answer())

    async def on_post_change(self, request: Request, response: Response) -> None:
        """Change how long cores are reserved."""
        account = await self._account(request)
        body = await read_body(request, ChangeReservationRequest)
        changed = CoresReserved(reservation=await self._realtime.change(account, body))
        await write_body(request, response, changed)


_KEY: Final = Credential.KEY
ROUTES: Final = (
    post("/v1/realtime", RealtimeResource, ReserveCoresRequest, CoresReserved, _KEY),
    post("/v1/realtime/list", RealtimeResource, ReservationsRequest, ReservationsListed),
    post("/v1/realtime/release", RealtimeResource, ReleaseCoresRequest, Answer, _KEY),
    post("/v1/realtime/change", RealtimeResource, ChangeReservationRequest, CoresReserved, _KEY),
)
