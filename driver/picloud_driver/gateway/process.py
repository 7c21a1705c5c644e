"""A gateway in a process of its own, which the first stream starts."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import Unavailable
from picloud_model.wire.tunnel_ticket import SECRET_BYTES, TICKET_S, StreamEnd, TunnelTicket

from picloud_driver.gateway.port import GatewayPort, StreamTickets

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

START_S: Final = 10.0
"""How long a gateway may take to start."""
_NOT_STARTED: Final = "The gateway for connections to jobs did not start; see the server's log."


class GatewayProcess(GatewayPort):
    """Starts `python -m picloud_gateway` when it is first needed, and again if it has ended.

    Args:
        host: The address that the gateway listens on.
        clock: Seconds since the epoch.
    """

    adapter: ClassVar[str] = "process"

    def __init__(self, host: str, clock: Callable[[], float] = time.time) -> None:
        self._host = host
        self._clock = clock
        self._secret = b""
        self._process: Process | None = None
        self._port = 0
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the gateway, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def open(self) -> StreamTickets:
        """Return tickets for a new stream."""
        async with self._starting:
            if self.pid is None:
                await self._start()
        stream, until = secrets.token_hex(16), int(self._clock()) + TICKET_S
        client, slot = (
            TunnelTicket(stream, end, until).signed(self._secret)
            for end in (StreamEnd.CLIENT, StreamEnd.SLOT)
        )
        return StreamTickets(self._port, client, slot)

    async def _start(self) -> None:
        self._secret = secrets.token_bytes(SECRET_BYTES)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "picloud_gateway", "--host", self._host),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={},
                cwd=os.sep,
            )
        except OSError as error:
            raise Unavailable(_NOT_STARTED) from error
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise Unavailable(_NOT_STARTED)
        process.stdin.write(self._secret)
        try:
            async with asyncio.timeout(START_S):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line.strip().isdigit():
            await self.close()
            raise Unavailable(_NOT_STARTED)
        self._port = int(line)

    async def close(self) -> None:
        """End the gateway, and all streams with it."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.kill()
        await process.wait()
