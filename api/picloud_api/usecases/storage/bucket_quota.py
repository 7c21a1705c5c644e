"""The quota of objects and volumes: what would exceed it is refused before it is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from picloud_driver.bucket.port import PAGE_KEYS
from picloud_model.errors import BucketFull, ObjectNotFound
from picloud_model.wire import StoredBytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from picloud_driver.bucket import BucketPort

_UNCOUNTED: Final = 10
"""What part of a quota may be used before the first count in this process: a tenth."""


class _BucketUse:
    """How many bytes a bucket has at most; `counted` is whether they were ever counted."""

    def __init__(self) -> None:
        self.size = 0
        self.counted = False
        self.counting = asyncio.Lock()


class BucketQuota:
    """Adds what is stored to the last count of a bucket, which is only repeated when it is full.

    So a put reads nothing else, and the count cannot drift: what was removed or replaced since, or
    never arrived, is in no later one. Several API processes may together exceed a quota until each
    of them has counted.

    Args:
        port: Where the objects are.
        most: The bytes that the objects and volumes of an account may have.
        volumes: Returns how many bytes the volumes of an account have.
    """

    def __init__(
        self, port: BucketPort, most: int, volumes: Callable[[str], Awaitable[int]]
    ) -> None:
        self._port = port
        self._most = most
        self._volumes = volumes
        self._uses: dict[str, _BucketUse] = {}

    async def admit(self, account: str, key: str, size: int) -> None:
        """Let an account store so many bytes under a key.

        Raises:
            BucketFull: When its bucket would have too many.
        """
        use = self._uses.setdefault(account, _BucketUse())
        if not self._fits(use, size):
            async with use.counting:
                if not self._fits(use, size):
                    use.size = await self._stored(account)
                    use.counted = True
            if not self._fits(use, size - await self._replaced(account, key)):
                raise self._full(use, size)
        use.size += size

    async def admit_volume(self, account: str, size: int) -> None:
        """Let the volumes of an account grow by so many bytes.

        Raises:
            BucketFull: When the account would store too many.
        """
        use = self._uses.setdefault(account, _BucketUse())
        if not self._fits(use, size):
            async with use.counting:
                use.size = await self._stored(account)
                use.counted = True
            if not self._fits(use, size):
                raise self._full(use, size)
        use.size += size

    def _full(self, use: _BucketUse, size: int) -> BucketFull:
        return BucketFull(
            f"Your bucket and volumes have {use.size:,} of {self._most:,} bytes, so {size:,} more "
            "do not fit: remove objects or files first."
        )

    async def _stored(self, account: str) -> int:
        """Return how many bytes an account has, with those of uploads that may never be finished.

        These are listed and not remembered: another process may have begun them, or an earlier one.
        """
        return await self.count(account) + await self._port.unfinished_bytes(account)

    async def count(self, account: str) -> int:
        """Return how many bytes the objects and volumes of an account have."""
        objects = await stored_objects(self._port, account)
        return await self._volumes(account) + objects.size

    async def _replaced(self, account: str, key: str) -> int:
        """Return how many bytes a put under a key replaces."""
        try:
            return (await self._port.head(account, key)).size
        except ObjectNotFound:
            return 0

    def _fits(self, use: _BucketUse, size: int) -> bool:
        return use.size + size <= self._most // (1 if use.counted else _UNCOUNTED)


async def stored_objects(port: BucketPort, account: str) -> StoredBytes:
    """Return how many objects the bucket of an account has, and their bytes; lists all of them."""
    count, size, after, truncated = 0, 0, "", True
    while truncated:
        page = await port.page(account, after=after, limit=PAGE_KEYS)
        count += len(page.objects)
        size += sum(each.size for each in page.objects)
        truncated = page.truncated
        after = page.objects[-1].key if page.objects else after
    return StoredBytes(count, size)
