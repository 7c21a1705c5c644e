"""Known blobs: a cache of those that exist, so that most submits do not ask the blob store."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_driver.blobs import BlobPort

KNOWN_S: Final = 60.0
"""How long a blob counts as present: far less than the time for which a used blob is kept."""
KNOWN_BLOBS: Final = 10_000


class KnownBlobs:
    """Finds missing blobs, and does not ask again for a minute about those that exist.

    Every call of a function names its modules; asking S3 about them each time took 1.3 ms of a
    call of 6 ms. Missing blobs are not cached, because the client sends them at once.
    """

    def __init__(self, blobs: BlobPort, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    async def missing(self, names: Sequence[str]) -> list[str]:
        """Return the names under which nothing is stored, in the order given."""
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
