"""The use of blobs: one that nothing refers to is deleted after a day, unless it was used again.

A digest does not show whether its blob is about to be referred to. So the sweep first records which
blobs nothing refers to, and a day later deletes those that are still in the record. Before the
server reports that it has a blob, it takes that blob out of the record.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec.structs import replace
from picloud_model.errors import Unavailable

from picloud_api.store.records import NamedRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.engine.process.context import Context
    from picloud_api.store.draft import Draft

STALLED_S: Final = 120.0
"""After how long a deletion that was begun counts as given up, and is not continued."""
_LONGEST_WAIT_S: Final = 10.0
_LOOK_S: Final = 0.05


class Unreferenced(NamedRecord, frozen=True, kw_only=True):
    """Blobs that nothing referred to at a time, under `unreferenced/<account>/<digit>`.

    The digit is the first one of their digests: a record holds at most some thousands. Those in
    `deleting` are being deleted since `begun_at`.
    """

    prefix: ClassVar[str] = "unreferenced/"

    digests: tuple[bytes, ...]
    at: float
    deleting: tuple[bytes, ...] = ()
    begun_at: float = 0.0


class BlobUse:
    """Takes blobs that are used again out of the records of those that are to be deleted."""

    def __init__(self, context: Context) -> None:
        self._commits = context.commits
        self._clock = context.clock

    async def keep(self, account: str, digests: Sequence[str]) -> None:
        """Keep blobs for a day from now on, whether they exist or not.

        Call it before they are looked for: one that is being deleted is gone once this returns.

        Raises:
            Unavailable: When one is being deleted, and that takes long.
        """
        used: defaultdict[str, set[bytes]] = defaultdict(set)
        for digest in digests:
            used[record_key(account, digest[0])].add(bytes.fromhex(digest))
        records: dict[str, Unreferenced] = await self._commits.view.reload(list(used))
        for key, record in records.items():
            if not used[key].isdisjoint([*record.digests, *record.deleting]):
                await self._keep(key, used[key])

    async def _keep(self, key: str, digests: set[bytes]) -> None:
        for _ in range(int(_LONGEST_WAIT_S / _LOOK_S)):
            if await self._commits.run(partial(self._forget, key=key, digests=digests)):
                return
            await asyncio.sleep(_LOOK_S)
        raise Unavailable("Bytes that are sent again are just being deleted; try again.")

    async def _forget(self, draft: Draft, key: str, digests: set[bytes]) -> bool:
        """Take digests out of a record; return whether none of them is being deleted."""
        record: Unreferenced | None = await draft.fresh(key)
        if record is None:
            return True
        if not digests.isdisjoint(record.deleting):
            if self._clock() - record.begun_at < STALLED_S:
                return False
            record = replace(record, deleting=_without(record.deleting, digests))
        draft.put(key, replace(record, digests=_without(record.digests, digests)))
        return True


def record_key(account: str, digit: str = "") -> str:
    """Return the key of a record; without a digit, the prefix of those of an account."""
    return f"{Unreferenced.prefix}{account}/{digit}"


def _without(digests: Sequence[bytes], some: set[bytes]) -> tuple[bytes, ...]:
    return tuple(digest for digest in digests if digest not in some)
