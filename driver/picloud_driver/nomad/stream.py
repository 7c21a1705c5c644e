"""Nomad's event stream: one response that stays open and gets a line for each change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.nomad.answers import Allocation, Events

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


class EventStream:
    """Changes of allocations, each with its index.

    Args:
        answer: The response of Nomad, not read yet.
    """

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[tuple[int, list[Allocation]]]:
        for line in self._answer.iter_lines():
            events = _DECODER.decode(line)
            if events.events:
                changed = [event.payload.allocation for event in events.events]
                yield events.index, [allocation for allocation in changed if allocation]

    def stop(self) -> None:
        """End an iteration that waits in another thread."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            self._answer.raw.shutdown()

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()


_DECODER = msgspec.json.Decoder(Events)
