"""Traces of a server that sends none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_driver.trace.port import TracePort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.trace.port import TraceSpan


class NoTraces(TracePort):
    """Drops every span."""

    adapter = "off"
    is_on = False

    def emit(self, spans: Sequence[TraceSpan]) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""
