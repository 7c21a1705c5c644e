"""Presence: which blobs are known to be there, so that not every submit asks the blob store."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_driver.blobs import BlobPort

KNOWN_S: Final = 60.0
"""How long a blob that was seen is taken to be there: far less than any blob that is used lives."""
KNOWN_BLOBS: Final = 10_000


class Presence:
    """Asks for blobs, and for those found not again for a minute.

    A function's modules are named by every call of it: asked for each time they took S3 1.3 ms of a
    call of 6. Only what was found is remembered, so that what is missing can be sent at once.
    """

    def __init__(self, blobs: BlobPort, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    async def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the names under which nothing lies, in the order given."""
        now = self._clock()
        unknown = [name for name in names if now - self._seen.get(name, -KNOWN_S) >= KNOWN_S]
        if not unknown:
            return []
        missing = await self._blobs.missing(unknown)
        for name in set(unknown).difference(missing):
            self._seen[name] = now
            self._seen.move_to_end(name)
        while len(self._seen) > KNOWN_BLOBS:
            self._seen.popitem(last=False)
        return missing
