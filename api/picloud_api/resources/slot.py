"""`/v1/slots`, `/v1/work`, `/v1/heartbeat`: what slots ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model import wire

from picloud_api.resources import body as bodies

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

    from picloud_api.engine.process.slot_sessions import Session
    from picloud_api.usecases.slots.slot import Slots
    from picloud_api.usecases.slots.work import Work


class SlotResource:
    """The life of a slot: it registers, works, and says that it lives."""

    def __init__(self, slots: Slots, work: Work) -> None:
        self._slots = slots
        self._work = work

    async def _session(self, request: Request) -> Session:
        session = await bodies.admit(request, self._slots.recognise, self._slots.find)
        bodies.note(request, session.pool.account)
        return session

    async def on_post(self, request: Request, response: Response) -> None:
        """Exchange a proof for a token."""
        body = await bodies.read(request, wire.SlotRequest)
        granted = await self._slots.register(body.proof)
        await bodies.write(request, response, granted)

    async def on_post_work(self, request: Request, response: Response) -> None:
        """Report and lease."""
        session = await self._session(request)
        body = await bodies.read(request, wire.WorkRequest)
        answer = await self._work.work(session, body)
        await bodies.write(request, response, answer)
        if body.leaving:
            await self._slots.bury(session.number, lost=False)

    async def on_post_heartbeat(self, request: Request, response: Response) -> None:
        """Name what runs."""
        session = await self._session(request)
        body = await bodies.read(request, wire.HeartbeatRequest)
        await bodies.write(request, response, await self._work.heartbeat(session, body))
