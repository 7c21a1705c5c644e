"""A cache of small blobs, which are named by what they hold and so never change."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CACHE_BYTES: Final = 4 * 1024 * 1024
"""The modules of a program or two: several slots read them at the same time."""
KEPT_S: Final = 60.0
"""How long a blob is kept: one that was deleted is not sent for longer."""


class SmallBlobs:
    """Keeps the small blobs that were stored or read last.

    A program's first call stores its modules, and a moment later each slot reads them all; reading
    one from S3 takes almost two milliseconds of a processor.

    Args:
        clock: Returns the time in seconds.
        room: Maximum number of bytes kept.
    """

    def __init__(self, clock: Callable[[], float], room: int = CACHE_BYTES) -> None:
        self._clock = clock
        self._room = room
        self._blobs: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    def get(self, name: str) -> bytes | None:
        """Return a blob by its name if it is kept."""
        data, since = self._blobs.get(name, (None, 0.0))
        if data is not None and self._clock() - since >= KEPT_S:
            self._drop(name)
            return None
        return data

    def put(self, name: str, data: bytes) -> None:
        """Keep a blob, and drop those that were kept first if there is no more room."""
        self._drop(name)
        self._blobs[name] = (data, self._clock())
        self._room -= len(data)
        while self._room < 0:
            self._drop(next(iter(self._blobs)))

    def _drop(self, name: str) -> None:
        data, _ = self._blobs.pop(name, (b"", 0.0))
        self._room += len(data)
