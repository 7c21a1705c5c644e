"""`/v1/slots`, `/v1/work`, `/v1/heartbeat`: the requests of slots, and of users about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body
from picloud_api.resources.route import Credential, post

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.usecases.slots import SlotSession
    from picloud_api.usecases.use_cases import UseCases


class SlotResource:
    """The life of a slot: it registers, works, and sends heartbeats, or is to end."""

    def __init__(self, use_cases: UseCases) -> None:
        self._accounts = use_cases.accounts.accounts
        self._slots = use_cases.slots.slots
        self._work = use_cases.slots.work
        self._heartbeat = use_cases.slots.heartbeat

    async def _session(self, request: Request) -> SlotSession:
        session = await authenticate(request, self._slots.recognise, self._slots.find)
        set_account(request, session.pool.account)
        return session

    async def on_post(self, request: Request, response: Response) -> None:
        """Exchange a proof for a token."""
        body = await read_body(request, wire.SlotRequest, wire.STRANGER_BYTES)
        await write_body(request, response, await self._slots.register(body.proof))

    async def on_post_restart(self, request: Request, response: Response) -> None:
        """End slots before their next job."""
        account = set_account(request, await authenticate(request, self._accounts.recognise))
        await read_body(request, wire.RestartSlotsRequest)
        await write_body(request, response, await self._slots.restart(account))

    async def on_post_work(self, request: Request, response: Response) -> None:
        """Store reports and lease jobs."""
        session = await self._session(request)
        body = await read_body(request, wire.WorkRequest, wire.REQUEST_BYTES)
        await write_body(request, response, await self._work.work(session, body))
        if body.leaving:
            await self._slots.remove(session.number)

    async def on_post_heartbeat(self, request: Request, response: Response) -> None:
        """Record what runs."""
        session = await self._session(request)
        body = await read_body(request, wire.HeartbeatRequest, wire.REQUEST_BYTES)
        await write_body(request, response, await self._heartbeat.heartbeat(session, body))


_SLOT: Final = Credential.SLOT
ROUTES: Final = (
    post("/v1/slots", SlotResource, wire.SlotRequest, wire.SlotGranted, Credential.NONE),
    post(
        "/v1/slots/restart",
        SlotResource,
        wire.RestartSlotsRequest,
        wire.SlotsRestarted,
    ),
    post("/v1/work", SlotResource, wire.WorkRequest, wire.WorkAnswer, _SLOT),
    post("/v1/heartbeat", SlotResource, wire.HeartbeatRequest, wire.HeartbeatAnswer, _SLOT),
)
