"""HandoffProtocol: connections that change the process between two requests; see `home`."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from picloud_api.app import Application
from picloud_api.resources.body import ACCOUNT
from picloud_api.server.affinity import MOST_MOVES

if TYPE_CHECKING:
    import socket

    from picloud_api.server.affinity import AccountAffinity


class HandoffProtocol(HttpToolsProtocol):
    """A connection that goes to its account's home once a request is answered."""

    def __init__(self, affinity: AccountAffinity, here: int, moves: int = 0, **given: Any) -> None:
        super().__init__(**given)
        self._affinity = affinity
        self._here = here
        self._moves = moves
        self._quiet = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection that came from another process was quiet there, and may stay so."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if self._moves:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def data_received(self, data: bytes) -> None:
        """The client begins, or goes on with, a request: now it has to be served here."""
        self._quiet = False
        super().data_received(data)

    def on_response_complete(self) -> None:
        """A request is answered; whose it was the application noted in the scope."""
        super().on_response_complete()
        self._quiet = True
        account = self.scope.get(ACCOUNT)
        if isinstance(account, str) and self._affinity.owner_of(account) not in (self._here, None):
            # The answer is written when the loop comes round.
            self.loop.call_soon(self._move, account)

    def _move(self, account: str) -> None:
        home = self._affinity.owner_of(account)
        if home is None or home == self._here or self._moves == MOST_MOVES or not self._idle():
            return
        connection = self.transport.get_extra_info("socket").fileno()
        if self._affinity.send(home, connection, self._moves + 1):
            self._unset_keepalive_if_required()
            # The connection itself goes on: its descriptor is open on its way.
            self.transport.abort()

    def _idle(self) -> bool:
        """Whether nothing of a request or an answer is left here."""
        return (
            self._quiet
            and not self.pipeline
            and not self.cycle.more_body
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
        )


class HandoffServer(uvicorn.Server):
    """Uvicorn that lets the application answer its long polls before it waits for them.

    With `affinity` it takes in the connections that others send to it, process `here` of them.
    """

    def __init__(
        self, config: uvicorn.Config, affinity: AccountAffinity | None = None, here: int = -1
    ) -> None:
        super().__init__(config)
        self._affinity = affinity if here >= 0 else None
        self._here = here
        self._arriving: set[asyncio.Task[Any]] = set()
        if self._affinity is not None:
            config.http = partial(HandoffProtocol, self._affinity, here)  # type: ignore[assignment]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and be home."""
        await super().startup(sockets)
        if self._affinity is not None:
            arrivals = self._affinity.arrivals(self._here)
            asyncio.get_running_loop().add_reader(arrivals, self._take_in, self._affinity)
            self._affinity.heartbeat(self._here)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: say that this process lives."""
        if self._affinity is not None:
            self._affinity.heartbeat(self._here)
        return await super().on_tick(counter)

    def _take_in(self, affinity: AccountAffinity) -> None:
        loop = asyncio.get_running_loop()
        while found := affinity.receive(self._here):
            connection, moves = found
            protocol = partial(
                HandoffProtocol, affinity, self._here, moves,
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state,
            )  # fmt: skip
            task = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end what is under way, take the application down."""
        if self._affinity is not None:
            self._affinity.leave(self._here)
            asyncio.get_running_loop().remove_reader(self._affinity.arrivals(self._here))
        application = self.config.app
        if isinstance(application, Application):
            application.answer_waiting()
        await super().shutdown(sockets)
