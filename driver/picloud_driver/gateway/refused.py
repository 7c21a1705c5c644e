"""No gateway: where slots cannot reach one."""

from __future__ import annotations

from typing import ClassVar, NoReturn

from picloud_model.errors import RequestRefused

from picloud_driver.gateway.port import GatewayPort


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

    async def close(self) -> None:
        """Do nothing."""
