"""`/v1/slots`, `/v1/work`, `/v1/heartbeat`: what slots ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

from picloud_api.resources.body import authenticate, read_body, set_account, write_body

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.engine.process.slot_sessions import SlotSession
    from picloud_api.usecases.slots.slot import Slots
    from picloud_api.usecases.slots.work import Work


class SlotResource:
    """The life of a slot: it registers, works, and says that it lives."""

    def __init__(self, slots: Slots, work: Work) -> None:
        self._slots = slots
        self._work = work

    async def _session(self, request: Request) -> SlotSession:
        session = await authenticate(request, self._slots.recognise, self._slots.find)
        set_account(request, session.pool.account)
        return session

    async def on_post(self, request: Request, response: Response) -> None:
        """Exchange a proof for a token."""
        body = await read_body(request, wire.SlotRequest)
        granted = await self._slots.register(body.proof)
        await write_body(request, response, granted)

    async def on_post_work(self, request: Request, response: Response) -> None:
        """Report and lease."""
        session = await self._session(request)
        body = await read_body(request, wire.WorkRequest)
        answer = await self._work.work(session, body)
        await write_body(request, response, answer)
        if body.leaving:
            await self._slots.remove(session.number, lost=False)

    async def on_post_heartbeat(self, request: Request, response: Response) -> None:
        """Name what runs."""
        session = await self._session(request)
        body = await read_body(request, wire.HeartbeatRequest)
        await write_body(request, response, await self._work.heartbeat(session, body))
