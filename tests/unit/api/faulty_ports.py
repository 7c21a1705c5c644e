"""Ports that fail as servers behind a network do: each port, each operation, by a seed.

A fault is one of three kinds: the request was not sent, the answer was lost, or the answer is an
error. All three look the same to the caller, except that the second has had its effect.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from picloud_api import wiring
from picloud_driver.state import Check, Conflict, Put
from picloud_model.errors import Unavailable

from tests.unit.api.api_harness import ApiHarness
from tests.unit.api.recording_state import SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class FaultKind(StrEnum):
    """What happens to one request to a port."""

    NOT_SENT = "not sent"
    ANSWER_LOST = "answer lost"
    ERROR_ANSWER = "error answer"


class Faults:
    """Decides which requests fail, and counts them.

    Attributes:
        away: The ports whose server is down: each of their requests is not sent.
        chance: How likely any other request fails.
        delays: For how many turns of the event loop a request may be under way at most.
        seen: How often each kind of fault met each port.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.away: set[str] = set()
        self.chance = 0.0
        self.delays = 0
        self.seen: Counter[tuple[str, FaultKind]] = Counter()

    def seed(self, seed: int) -> None:
        """Begin again with another seed."""
        self._random = random.Random(seed)

    async def delay(self) -> None:
        """Let others run while a request is under way."""
        for _ in range(self._random.randint(0, self.delays)):
            await asyncio.sleep(0)

    def next(self, port: str) -> FaultKind | None:
        """Return how the next request to a port fails, if it does."""
        kind: FaultKind | None = None
        if port in self.away:
            kind = FaultKind.NOT_SENT
        elif self.chance and self._random.random() < self.chance:
            kind = self._random.choice(list(FaultKind))
        if kind is not None:
            self.seen[port, kind] += 1
        return kind


class FaultyPort:
    """A port in front of another one, some of whose requests fail."""

    def __init__(self, port: Any, name: str, faults: Faults) -> None:
        self._port = port
        self._name = name
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if name == "close":
            return value
        if inspect.iscoroutinefunction(value):
            return self._request(value)
        if inspect.isasyncgenfunction(value):
            return self._listing(value)
        return value

    def _request(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def request(*arguments: Any, **named: Any) -> Any:
            await self._faults.delay()
            kind = self._faults.next(self._name)
            if kind is FaultKind.ERROR_ANSWER and method.__name__ == "commit":
                # What Consul answers if others have changed a key meanwhile.
                keys = [each.key for each in arguments[0] if isinstance(each, Put | Check)]
                raise Conflict(keys or [each.key for each in arguments[0]])
            if kind is FaultKind.ANSWER_LOST:
                await method(*arguments, **named)
            if kind is not None:
                raise Unavailable(f"{self._name} is away: {kind}.")
            answer = await method(*arguments, **named)
            await self._faults.delay()
            return answer

        return request

    def _listing(self, method: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
        async def listing(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
            if self._faults.next(self._name) is not None:
                raise Unavailable(f"{self._name} is away.")
            async for each in method(*arguments, **named):
                yield each

        return listing


def faulty(ports: wiring.Ports, faults: Faults) -> wiring.Ports:
    """Return ports some of whose requests fail."""
    names = wiring.Ports.__struct_fields__
    each = {name: FaultyPort(getattr(ports, name), name, faults) for name in names}
    return wiring.Ports(**each)  # type: ignore[arg-type]


class FaultyApi(ApiHarness):
    """A server over ports that fail; its state store is shared, as Consul is."""

    def __init__(self, root: Path, seed: int = 0) -> None:
        super().__init__(root, SharedRecordingState)
        self.faults = Faults(seed)

    def ports(self) -> wiring.Ports:
        return faulty(super().ports(), self.faults)
