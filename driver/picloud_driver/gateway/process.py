"""A gateway in a process of its own, which the first stream starts."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import sys
import time
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from picloud_model.errors import Unavailable
from picloud_model.wire.gateway import StreamLimits
from picloud_model.wire.tunnel_ticket import SECRET_BYTES, TICKET_S, StreamEnd, TunnelTicket

from picloud_driver.gateway.control import GatewayControl
from picloud_driver.gateway.port import GatewayPort, SlotTicket, StreamTickets

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from picloud_driver.gateway.port import Admission, BrowserRequest, Reply

START_S: Final = 10.0
"""How long a gateway may take to start."""
_STREAM_BYTES: Final = 16
_USUAL: Final = StreamLimits()
_NOT_STARTED: Final = "The gateway for connections to jobs did not start; see the server's log."


class SlotSide(msgspec.Struct, frozen=True):
    """Another address of this machine, at which slots reach a gateway, and ports it may take."""

    host: str
    ports: list[int]

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments of the gateway's command.

        >>> SlotSide("172.18.0.1", [10001, 10002]).arguments()
        ('--slot-host', '172.18.0.1', '--slot-ports', '10001,10002')
        """
        return ("--slot-host", self.host, "--slot-ports", ",".join(map(str, self.ports)))


def own_host(host: str) -> str:
    """Return the address of this machine among those that share a URL; "" if the URL names it.

    >>> own_host("10.0.0.31"), own_host("127.0.0.1"), own_host("0.0.0.0"), own_host("server")
    ('10.0.0.31', '', '', 'server')
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "" if host == "localhost" else host
    return "" if address.is_loopback or address.is_unspecified else host


class GatewayProcess(GatewayPort):
    """Starts `python -m picloud_gateway` when it is first needed, and again if it has ended.

    Args:
        host: The address that the gateway listens on.
        clock: Seconds since the epoch.
        slots: Where slots reach it, if that is another address.
        limits: How long streams may last.
        public_host: The address of public ports, if that is another one.
    """

    adapter: ClassVar[str] = "process"

    def __init__(
        self,
        host: str,
        clock: Callable[[], float] = time.time,
        slots: SlotSide | None = None,
        limits: StreamLimits = _USUAL,
        public_host: str = "",
    ) -> None:
        self._host = host
        self._slots = slots
        self._limits = limits
        self._public_host = public_host or host
        self._clock = clock
        self._secret = b""
        self._process: Process | None = None
        self._control: GatewayControl | None = None
        self._port = 0
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The process id of the gateway, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def open(self) -> StreamTickets:
        """Return tickets for a new stream."""
        await self._running()
        stream = secrets.token_hex(_STREAM_BYTES)
        client, slot = (self._signed(stream, end) for end in (StreamEnd.CLIENT, StreamEnd.SLOT))
        return StreamTickets(
            port=self._port,
            client=client,
            slot=slot,
            host=own_host(self._host),
            slot_host=self._slot_host,
        )

    async def publish(self, name: str, invite: Callable[[SlotTicket], Awaitable[None]]) -> int:
        """Listen for a name; return the port."""
        control = await self._running()

        async def invite_slot(stream: str) -> None:
            ticket = self._signed(stream, StreamEnd.SLOT)
            await invite(SlotTicket(self._port, ticket, self._slot_host))

        return await control.publish(name, invite_slot, START_S)

    async def browse(
        self, port: int, decide: Callable[[BrowserRequest], Awaitable[Admission | Reply]]
    ) -> int:
        """Listen for browsers; return the port."""
        control = await self._running()

        async def invite_slot(stream: str, admission: Admission) -> None:
            ticket = self._signed(stream, StreamEnd.SLOT)
            await admission.invite(SlotTicket(self._port, ticket, self._slot_host))

        return await control.browse(port, decide, invite_slot, START_S)

    @property
    def _slot_host(self) -> str:
        """The host at which slots reach the gateway, if that is not the one of their URL."""
        return "" if self._slots else own_host(self._host)

    async def withdraw(self, name: str) -> None:
        """Stop listening for a name, if it was published."""
        if self._control is not None:
            self._control.withdraw(name)

    def _signed(self, stream: str, end: StreamEnd) -> str:
        return TunnelTicket(stream, end, int(self._clock()) + TICKET_S).signed(self._secret)

    async def _running(self) -> GatewayControl:
        """Return the control of a gateway that runs, after starting it where there is none."""
        async with self._starting:
            if self.pid is None or self._control is None:
                await self.close()
                self._control = await self._start()
            return self._control

    async def _start(self) -> GatewayControl:
        self._secret = secrets.token_bytes(SECRET_BYTES)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "picloud_gateway", "--host", self._host),
                *("--public-host", self._public_host),
                *("--idle", str(self._limits.idle_s), "--longest", str(self._limits.longest_s)),
                *(self._slots.arguments() if self._slots else ()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={},
                cwd=os.sep,
            )
        except OSError as error:
            raise Unavailable(_NOT_STARTED) from error
        self._process = process
        if process.stdin is None:
            raise Unavailable(_NOT_STARTED)
        process.stdin.write(self._secret)
        control = GatewayControl(process)
        self._port = await control.port(START_S)
        if not self._port:
            await control.close()
            await self.close()
            raise Unavailable(_NOT_STARTED)
        return control

    async def close(self) -> None:
        """End the gateway, and all streams with it."""
        control, self._control = self._control, None
        process, self._process = self._process, None
        if control is not None:
            await control.close()
        if process is None or process.returncode is not None:
            return
        process.kill()
        await process.wait()
