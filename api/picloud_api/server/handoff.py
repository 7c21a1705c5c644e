"""The handoff: connections move to another process between two requests; see `affinity`."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from picloud_api.app import Application
from picloud_api.resources.body import ACCOUNT
from picloud_api.server.affinity import MOST_MOVES
from picloud_api.server.guard import GuardedProtocol, sweep

if TYPE_CHECKING:
    import socket

    from picloud_api.server.affinity import AccountAffinity


_TICKS_A_SWEEP: Final = 10


class HandoffProtocol(GuardedProtocol):
    """A connection that moves to the owner of its account once a request is answered."""

    def __init__(
        self, affinity: AccountAffinity, here: int, moves: int = 0, **options: Any
    ) -> None:
        super().__init__(**options)
        self._affinity = affinity
        self._here = here
        self._moves = moves
        self._quiet = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the keep-alive timeout of a connection that came from another process."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if self._moves:
            self.rest()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def data_received(self, data: bytes) -> None:
        """Note that a request has begun, which this process has to serve."""
        self._quiet = False
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Move the connection if another process owns the account, which is noted in the scope."""
        super().on_response_complete()
        self._quiet = True
        account = self.scope.get(ACCOUNT)
        if isinstance(account, str) and self._affinity.owner_of(account) not in (self._here, None):
            # The response is written in the next round of the loop.
            self.loop.call_soon(self._move, account)

    def _move(self, account: str) -> None:
        owner = self._affinity.owner_of(account)
        if owner in (self._here, None) or self._moves == MOST_MOVES or not self._idle():
            return
        connection = self.transport.get_extra_info("socket").fileno()
        if self._affinity.send(owner, connection, self._moves + 1):
            self._unset_keepalive_if_required()
            # That does not end the connection: its descriptor is open in the message.
            self.transport.abort()

    def _idle(self) -> bool:
        """Whether no part of a request or a response is left in this process."""
        return (
            self._quiet
            and not self.pipeline
            and not self.cycle.more_body
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
        )


class HandoffServer(uvicorn.Server):
    """Uvicorn that lets the application answer its long polls before it waits for them.

    With `affinity` it is process `here`, and accepts the connections that others send to it.
    """

    def __init__(
        self, config: uvicorn.Config, affinity: AccountAffinity | None = None, here: int = -1
    ) -> None:
        super().__init__(config)
        self._affinity = affinity if here >= 0 else None
        self._here = here
        self._arriving: set[asyncio.Task[Any]] = set()
        config.http = GuardedProtocol
        if self._affinity is not None:
            config.http = partial(HandoffProtocol, self._affinity, here)  # type: ignore[assignment]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start serving, and accept connections of other processes."""
        await super().startup(sockets)
        # What is there from now on is not garbage: looking through it takes 30 ms each time.
        gc.freeze()
        if self._affinity is not None:
            arrivals = self._affinity.arrivals(self._here)
            asyncio.get_running_loop().add_reader(arrivals, self._accept, self._affinity)
            self._affinity.heartbeat(self._here)

    async def on_tick(self, counter: int) -> bool:
        """Record a heartbeat, ten times a second, and guard the connections once a second."""
        if self._affinity is not None:
            self._affinity.heartbeat(self._here)
        if counter % _TICKS_A_SWEEP == 0:
            sweep(list(self.server_state.connections), asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def _accept(self, affinity: AccountAffinity) -> None:
        loop = asyncio.get_running_loop()
        while arrival := affinity.receive(self._here):
            connection, moves = arrival
            protocol = partial(
                HandoffProtocol, affinity, self._here, moves,
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state,
            )  # fmt: skip
            task = loop.create_task(loop.connect_accepted_socket(protocol, connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish open requests, and shut the application down."""
        if self._affinity is not None:
            self._affinity.leave(self._here)
            asyncio.get_running_loop().remove_reader(self._affinity.arrivals(self._here))
        application = self.config.app
        if isinstance(application, Application):
            application.answer_waiting()
        await super().shutdown(sockets)
