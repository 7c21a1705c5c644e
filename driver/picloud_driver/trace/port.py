"""The trace port: sends spans to a collector that the operator of the server has chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a trace that has ended: ids in hex, times in seconds since the epoch.

    `problem` says why it failed; "" if it did not.
    """

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: Literal["internal", "server", "consumer"]
    started_at: float
    ended_at: float
    attributes: dict[str, str | int] = {}
    problem: str = ""


class TracePort(ABC):
    """Sends spans to a collector, in the background.

    Sending never waits and never fails. Spans are dropped if the collector cannot be reached, or if
    there are more than it takes; the work that they describe is not affected.
    """

    adapter: ClassVar[str]
    """The name of the adapter."""
    is_on: ClassVar[bool]
    """Whether spans are sent anywhere."""

    @abstractmethod
    def emit(self, spans: Sequence[TraceSpan]) -> None:
        """Send spans soon."""

    @abstractmethod
    async def close(self) -> None:
        """Send what was not sent yet, if the collector takes it within a few seconds."""
