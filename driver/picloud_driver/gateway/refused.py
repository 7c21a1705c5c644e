"""No gateway: where slots cannot reach one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NoReturn

from picloud_model.errors import RequestRefused

from picloud_driver.gateway.port import GatewayPort

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.gateway.port import Admission, BrowserRequest, Reply, SlotTicket


class NoGateway(GatewayPort):
    """Refuses every stream.

    Args:
        reason: A sentence that says why.
    """

    adapter: ClassVar[str] = "none"

    def __init__(self, reason: str) -> None:
        self._reason = reason

    async def open(self) -> NoReturn:
        """Raise the reason."""
        raise RequestRefused(self._reason)

    async def publish(self, name: str, invite: Callable[[SlotTicket], Awaitable[None]]) -> NoReturn:
        """Raise the reason."""
        del name, invite
        raise RequestRefused(self._reason)

    async def browse(
        self, port: int, decide: Callable[[BrowserRequest], Awaitable[Admission | Reply]]
    ) -> NoReturn:
        """Raise the reason."""
        del port, decide
        raise RequestRefused(self._reason)

    async def withdraw(self, name: str) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
