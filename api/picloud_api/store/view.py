"""The view: a cache of what this process has read or written, decoded.

If no other process writes to the state store, the view is always right. Otherwise it may be stale:
a change is committed with the versions that were read, and change logs say what to read again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_driver.state import Conflict, Put
from picloud_model.errors import PiCloudError
from picloud_model.page import Page

from picloud_api.store import layout
from picloud_api.store.records import BatchId, Header, KeyedRecord, Staged, Waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from picloud_driver.state import StatePort

    from picloud_api.store.archive import Archive

CACHE_BYTES: Final = 96 * 1024 * 1024
"""How much the view keeps before it drops what was not used for longest; 40 bytes a job."""

UNSEALED_AT_ONCE: Final = 16
"""Blobs that are read at once where many sealed pages are needed."""

SEALED: Final = 0
"""Version of what is read from the archive, as its key is no longer in the state store."""


async def check_format(state: StatePort, known: int = layout.FORMAT) -> None:
    """Refuse data of a newer format; from now on, older versions refuse data of this one.

    Args:
        state: The state store.
        known: The newest format that this version reads, which it writes.

    Raises:
        PiCloudError: Says which format the data has.
    """
    entry = (await state.get([layout.FORMAT_KEY])).get(layout.FORMAT_KEY)
    stored = layout.decode(entry.key, entry.value) if entry else 1
    if stored > known:
        raise PiCloudError(
            f"A newer version of PiCloud has written this data: it has format {stored}, and this "
            f"version reads up to {known}. Install that version again, or restore a copy of the "
            "data from before the upgrade."
        )
    if stored < known:
        expected = entry.version if entry else 0
        try:
            await state.commit([Put(layout.FORMAT_KEY, layout.encode(known), expected)])
        except Conflict:
            await check_format(state, known)  # another process of this or a newer version starts


class Cell(NamedTuple):
    """A value with the version at which it was read or written."""

    value: Any
    version: int
    weight: int


class View:
    """Decoded entries of the state store; values in it are never changed in place."""

    def __init__(
        self, state: StatePort, archive: Archive | None = None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.state = state
        self._archive = archive
        self._room = cache_bytes
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self._of_batch: dict[BatchId, set[str]] = {}
        """Keys of pages and packs by batch: a search among 100,000 cells takes milliseconds."""
        self._changes = 0
        self._rereads: dict[str, asyncio.Task[dict[str, Any]]] = {}

    async def cell(self, key: str) -> Cell | None:
        """Return the entry under a key; it is read if it is not cached."""
        cached = self._cells.get(key)
        if cached is not None:
            self._cells.move_to_end(key)
            return cached
        changes = self._changes
        entries = await self.state.get([key])
        if key not in entries:
            return await self._sealed(key)
        value, version = layout.decode(key, entries[key].value), entries[key].version
        if changes != self._changes and key not in self._cells:
            # Others changed something during the read: in the cache, an old value would stay.
            return Cell(value, version, 0)
        return self.install(key, value, version)

    async def _sealed(self, key: str) -> Cell | None:
        """Return what was stored under a page's or pack's key before it was sealed."""
        page_id = layout.page_of(key) if self._archive is not None else None
        if page_id is None or self._archive is None:
            return None
        for name, data in (await self._archive.entries(page_id)).items():
            if name not in self._cells:
                self.install(name, layout.decode(name, data), SEALED)
        return self._cells.get(key)

    def peek(self, key: str) -> Any:
        """Return the value under a key if it is cached, else None."""
        cell = self._cells.get(key)
        return cell.value if cell else None

    async def get(self, key: str) -> Any:
        """Return the value under a key, or None."""
        cell = await self.cell(key)
        return cell.value if cell else None

    async def fresh(self, key: str) -> Any:
        """Return the value under a key, read again if another process may have written it."""
        if self._may_be_old(key) and key not in await self._reread(key) and key not in self._cells:
            sealed = await self._sealed(key)
            return sealed.value if sealed else None
        return await self.get(key)

    async def _reread(self, key: str) -> dict[str, Any]:
        """Read a key again; return its value by key, if there is one.

        Tasks that need that while it is being read share the next read: the one
        that began before may return what another process has replaced since.
        """
        earlier = self._rereads.get(key)
        if earlier is not None:
            await asyncio.wait((earlier,))
        reread = self._rereads.get(key)
        if reread is None or reread is earlier:
            reread = self._rereads[key] = asyncio.create_task(self.reload([key]))
            reread.add_done_callback(partial(self._end_reread, key))
        # A task that is cancelled must not end the read of the others.
        return await asyncio.shield(reread)

    def _end_reread(self, key: str, reread: asyncio.Task[Any]) -> None:
        if self._rereads.get(key) is reread:
            del self._rereads[key]
        if not reread.cancelled():
            reread.exception()  # so that asyncio does not log it if every task was cancelled

    def _may_be_old(self, key: str) -> bool:
        # What was sealed only changes when jobs are deleted, and then an event says so.
        cached = self._cells.get(key)
        return self.state.shared and (cached is None or cached.version != SEALED)

    async def reload(self, keys: Sequence[str]) -> dict[str, Any]:
        """Read keys again, cached or not.

        A cached value stays until the read returns, and a value that was committed during the read
        is newer than what it returns.

        Returns:
            The values by key, without the keys under which there is nothing.
        """
        values: dict[str, Any] = {}
        if not keys:
            return values
        before = [self._cells.get(key) for key in keys]
        entries = await self.state.get(keys)
        for key, cached in zip(keys, before, strict=True):
            entry = entries.get(key)
            if entry is not None and cached is not None and entry.version == cached.version:
                values[key] = cached.value
                continue
            if self._cells.get(key) is cached:
                self.forget([key])
            if entry is not None:
                value = layout.decode(key, entry.value)
                values[key] = self.install(key, value, entry.version).value
        return values

    async def load(self, keys: Iterable[str]) -> None:
        """Read the keys that are not cached in one request, so that each `get` finds them."""
        await self._fetch([key for key in dict.fromkeys(keys) if key not in self._cells])

    async def refresh(self, keys: Iterable[str]) -> None:
        """Do for many keys in one request what `fresh` does for one; then each `get` finds them."""
        names = dict.fromkeys(keys)
        await self._fetch([key for key in names if key not in self._cells or self._may_be_old(key)])

    async def _fetch(self, keys: Sequence[str]) -> None:
        await self.reload(keys)
        sealed = [key for key in keys if key not in self._cells]
        for start in range(0, len(sealed), UNSEALED_AT_ONCE):
            await asyncio.gather(*map(self._sealed, sealed[start : start + UNSEALED_AT_ONCE]))

    async def scan(self, prefix: str) -> dict[str, Any]:
        """Read and return every value under a prefix, by key."""
        values: dict[str, Any] = {}
        async for part in self.parts(prefix):
            values |= part
        return values

    async def names(self, prefix: str) -> list[str]:
        """Return what follows a prefix in each key that begins with it, in order."""
        return [key.removeprefix(prefix) for key in await self.scan(prefix)]

    async def parts(
        self, prefix: str, after: str = "", at_once: int = 1000
    ) -> AsyncIterator[dict[str, Any]]:
        """Read the values under a prefix, after a key, and yield some of them at a time."""
        while entries := await self.state.scan(prefix, after, at_once):
            values: dict[str, Any] = {}
            for entry in entries:
                value = layout.decode(entry.key, entry.value)
                values[entry.key] = value
                self.install(entry.key, value, entry.version)
            yield values
            after = entries[-1].key

    def install(self, key: str, value: Any, version: int) -> Cell:
        """Cache a value that was read or committed, unless a newer one is; return the newest.

        A read that was under way during a commit may return what was stored before it.
        """
        before = self._cells.get(key)
        if before is not None and before.version > version:
            return before
        if before is None:
            if (batch := layout.batch_of(key)) is not None:
                self._of_batch.setdefault(batch, set()).add(key)
        else:
            self._room += before.weight
            self._cells.move_to_end(key)
        cell = Cell(value, version, _weight(value))
        self._cells[key] = cell
        self._room -= cell.weight
        while self._room < 0 and len(self._cells) > 1:
            self.forget([next(iter(self._cells))])
        return cell

    def forget(self, keys: Iterable[str]) -> None:
        """Drop cached keys."""
        for key in keys:
            if before := self._cells.pop(key, None):
                self._room += before.weight
                batch = layout.batch_of(key)
                cached = self._of_batch.get(batch) if batch is not None else None
                if batch is not None and cached is not None:
                    cached.discard(key)
                    if not cached:
                        del self._of_batch[batch]

    def forget_all(self) -> None:
        """Drop everything that is cached."""
        self.forget(list(self._cells))

    def invalidate_reads(self) -> None:
        """Do not cache what is being read right now, as other processes changed something."""
        self._changes += 1

    def pages_of(self, account: str, batch: str) -> list[str]:
        """Return the keys of the cached pages of a batch."""
        cached = self._of_batch.get(BatchId(account, batch), ())
        return [key for key in cached if layout.is_page(key)]

    def forget_batch(self, account: str, batch: str) -> None:
        """Drop what can change of a batch."""
        self.forget([layout.ready(account, batch), *self.pages_of(account, batch)])

    def forget_sealed(self, account: str, batch: str) -> None:
        """Drop the pages and packs of a batch that was sealed."""
        self.forget(list(self._of_batch.get(BatchId(account, batch), ())))


def _weight(value: Any) -> int:
    """Return about how many bytes a value takes in memory, with its key and its place here.

    Counted too low, the cache of a million single calls would take three times as much as it may:
    one of them is a header, a page and two packs, in all 6.4 kB.
    """
    if isinstance(value, Page):
        return 1900 + 40 * len(value)
    if isinstance(value, bytes):
        return 600 + len(value)
    if isinstance(value, Header | Staged):
        return 2600 + 300 * len(value.parts)
    if isinstance(value, Waiting):
        return 600 + 150 * len(value.depends_on)
    if isinstance(value, list):
        return 600 + 200 * len(value)
    return value.weight if isinstance(value, KeyedRecord) else 600
