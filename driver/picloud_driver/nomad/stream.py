"""Nomad's event stream: one open answer that lines are added to as things change."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from picloud_driver.nomad.answers import Allocation, Events

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


class EventStream:
    """Changes of allocations, each with the index it happened at.

    Args:
        answer: Of Nomad, not read yet.
    """

    def __init__(self, answer: requests.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[tuple[int, list[Allocation]]]:
        for line in self._answer.iter_lines():
            told = _DECODER.decode(line)
            if told.events:
                changed = [event.payload.allocation for event in told.events]
                yield told.index, [allocation for allocation in changed if allocation]

    def stop(self) -> None:
        """End the iteration, which waits in another thread."""
        with contextlib.suppress(OSError, RuntimeError, ValueError):
            self._answer.raw.shutdown()

    def close(self) -> None:
        """Give up the connection."""
        self._answer.close()


_DECODER = msgspec.json.Decoder(Events)
