"""Control of a gateway's process: orders to it, and what it reports of its clients."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import PiCloudError, Unavailable
from picloud_model.wire import gateway
from picloud_model.wire.gateway import (
    BROWSERS,
    AdmitOrder,
    BrowseOrder,
    BrowserNotice,
    DropOrder,
    ListeningNotice,
    ListenOrder,
    ReplyOrder,
    WithdrawOrder,
)

from picloud_driver.gateway.port import Admission, BrowserRequest, Reply

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from picloud_model.wire.gateway import ArrivalNotice, GatewayOrder

    Invite = Callable[[str], Awaitable[None]]
    Decide = Callable[[BrowserRequest], Awaitable[Admission | Reply]]
    InviteSlot = Callable[[str, Admission], Awaitable[None]]

_NO_PORT = "The gateway for connections to jobs has no port left; see the server's log."


class GatewayControl:
    """Talks with a gateway that has just been started.

    Args:
        process: The gateway, which has its secret.
    """

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ports: dict[str, asyncio.Future[int]] = {}
        self._invites: dict[str, Invite] = {}
        self._browsers: tuple[Decide, InviteSlot] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._expect("")
        self._start(self._follow())

    async def port(self, timeout_s: float) -> int:
        """Return the port to which tickets are sent; 0 if the gateway did not start."""
        return await self._port("", timeout_s)

    async def publish(self, name: str, invite: Invite, timeout_s: float) -> int:
        """Return the port on which the gateway listens for a name.

        Raises:
            Unavailable: When there is none.
        """
        if name not in self._ports:
            self._invites[name] = invite
            self._expect(name)
            self._send(ListenOrder(name))
        port = await self._port(name, timeout_s)
        if not port:
            self.withdraw(name)
            raise Unavailable(_NO_PORT)
        return port

    async def browse(
        self, port: int, decide: Decide, invite_slot: InviteSlot, timeout_s: float
    ) -> int:
        """Return the port on which the gateway listens for browsers.

        Raises:
            Unavailable: When there is none.
        """
        if BROWSERS not in self._ports:
            self._browsers = (decide, invite_slot)
            self._expect(BROWSERS)
            self._send(BrowseOrder(port))
        reached = await self._port(BROWSERS, timeout_s)
        if not reached:
            self._ports.pop(BROWSERS, None)
            raise Unavailable(_NO_PORT)
        return reached

    def withdraw(self, name: str) -> None:
        """Stop listening for a name, if the gateway does."""
        if self._ports.pop(name, None) is not None:
            del self._invites[name]
            self._send(WithdrawOrder(name))

    async def close(self) -> None:
        """Stop reading what the gateway reports."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _expect(self, name: str) -> None:
        self._ports[name] = asyncio.get_running_loop().create_future()

    async def _port(self, name: str, timeout_s: float) -> int:
        try:
            async with asyncio.timeout(timeout_s):
                # Several requests may wait for the same port.
                return await asyncio.shield(self._ports[name])
        except TimeoutError:
            return 0

    def _send(self, order: GatewayOrder) -> None:
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # the gateway has ended
                self._process.stdin.write(gateway.line(order))

    async def _follow(self) -> None:
        """Read what the gateway reports until it ends."""
        if self._process.stdout is not None:
            with contextlib.suppress(msgspec.MsgspecError):
                while notice := await self._process.stdout.readline():
                    self._receive(gateway.read_notice(notice))
        for port in self._ports.values():
            if not port.done():
                port.set_result(0)

    def _receive(self, notice: gateway.GatewayNotice) -> None:
        if isinstance(notice, ListeningNotice):
            port = self._ports.get(notice.name)
            if port is not None and not port.done():
                port.set_result(notice.port)
        elif isinstance(notice, BrowserNotice):
            self._start(self._decide(notice))
        else:
            self._start(self._invite(notice))

    async def _invite(self, arrival: ArrivalNotice) -> None:
        try:
            if arrival.name in self._invites:
                await self._invites[arrival.name](arrival.stream)
                return
        except PiCloudError:
            pass  # the client cannot be told: it speaks the protocol of the job
        self._send(DropOrder(arrival.stream))

    async def _decide(self, notice: BrowserNotice) -> None:
        stream = notice.stream
        request = BrowserRequest(notice.method, notice.target, notice.headers, notice.is_open)
        try:
            if self._browsers is not None:
                decide, invite_slot = self._browsers
                decided = await decide(request)
                if isinstance(decided, Reply):
                    self._send(ReplyOrder(stream, decided.data))
                else:
                    self._send(AdmitOrder(stream, decided.headers))
                    if not notice.is_open:
                        await invite_slot(stream, decided)
                return
        except PiCloudError:
            pass  # as above
        self._send(DropOrder(stream))

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
