"""`tunnel`: opens a stream to a port on which a job listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import RequestConflict, Unavailable
from picloud_model.job import State
from picloud_model.wire import TunnelOrder
from picloud_model.wire.tunnel import TunnelOpened

from picloud_api.engine.jobs.live_query import held_at
from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted

if TYPE_CHECKING:
    from picloud_driver.gateway import GatewayPort
    from picloud_model.wire.tunnel import TunnelRequest

    from picloud_api.engine.jobs.live_query import LiveQueries
    from picloud_api.engine.process.context import Context


class JobTunnels:
    """Opens streams to jobs: the slot is asked through its heartbeat, and dials the gateway."""

    def __init__(self, context: Context, live: LiveQueries, gateway: GatewayPort) -> None:
        self._view = context.commits.view
        self._live = live
        self._gateway = gateway

    async def open(self, account: str, request: TunnelRequest) -> TunnelOpened:
        """Return where the client connects, and its ticket.

        Raises:
            JobNotFound: When the job does not exist in this account.
            JobDeleted: When it was deleted.
            RequestConflict: When it is not running, when its own processes do not listen on the
                port, or when jobs of this stack cannot be reached.
            Unavailable: When its slot, or a gateway, does not answer.
        """
        jid, port = request.jid, request.port
        pieces = await locate(self._view, account, [(jid, jid)])
        async for piece, page in read_pages(self._view, pieces):
            refuse_deleted(page, piece)
            state = State(page.state[piece.start])
            if state.final:
                raise RequestConflict(f"Job {jid} has ended.", field="jid")
            if state is not State.PROCESSING:
                message = f"Job {jid} has not started; wait until its status is processing."
                raise RequestConflict(message, field="jid")
            tickets = await self._gateway.open()
            page_id = piece.page_id
            info = await self._live.info(
                account,
                held_at(page_id.batch, page_id.page, page, piece.start),
                page.slot[piece.start],
                {},
                TunnelOrder(port, tickets.port, tickets.slot),
            )
            if info is None:
                raise Unavailable(f"The slot that runs job {jid} did not answer.")
            if info.ports is None or port not in info.ports.get("tcp", ()):
                message = f"Job {jid} does not listen on TCP port {port}."
                raise RequestConflict(message, field="port")
        return TunnelOpened(port=tickets.port, ticket=tickets.client)
