"""The view: what this process has read or written, decoded, least recently used given up first.

With a state store that nobody else writes to, the view is always right. Otherwise it may be stale:
whoever decides on it commits with the versions it was read at, and a bell says what to read again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from picloud_model.page import Page

from picloud_api.store import layout
from picloud_api.store.records import BatchId

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from picloud_driver.state import StatePort

    from picloud_api.store.archive import Archive

CACHE_BYTES: Final = 96 * 1024 * 1024
"""How much the view keeps; a page counts 40 bytes a job."""

UNSEALED_AT_ONCE: Final = 16
"""Blobs read at once where many sealed pages are asked for."""

SEALED: Final = 0
"""Version of what is read from the archive: the key is not in the state store, nor ever again."""


class Cell(NamedTuple):
    """A value with the version it was read or written at."""

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
        """Pages and packs by batch: to look for them among 100,000 cells takes milliseconds."""
        self._told = 0

    async def cell(self, key: str) -> Cell | None:
        """The entry under a key, read if it is not known."""
        known = self._cells.get(key)
        if known is not None:
            self._cells.move_to_end(key)
            return known
        told = self._told
        entries = await self.state.get([key])
        if key not in entries:
            return await self._sealed(key)
        value, version = layout.decode(key, entries[key].value), entries[key].version
        if told != self._told and key not in self._cells:
            # Somebody told of a change while this was read: kept, it might be old for good.
            return Cell(value, version, 0)
        return self.install(key, value, version)

    async def _sealed(self, key: str) -> Cell | None:
        """What lay under a page's or pack's key before it was sealed."""
        page_id = layout.page_of(key) if self._archive is not None else None
        if page_id is None or self._archive is None:
            return None
        for name, data in (await self._archive.entries(page_id)).items():
            if name not in self._cells:
                self.install(name, layout.decode(name, data), SEALED)
        return self._cells.get(key)

    def peek(self, key: str) -> Any:
        """The value under a key if it is known, without asking the store; else None."""
        cell = self._cells.get(key)
        return cell.value if cell else None

    async def get(self, key: str) -> Any:
        """The value under a key, or None."""
        cell = await self.cell(key)
        return cell.value if cell else None

    async def fresh(self, key: str) -> Any:
        """The value under a key, read again if another process may have written it."""
        if self._may_be_old(key):
            await self.reload([key])
        return await self.get(key)

    def _may_be_old(self, key: str) -> bool:
        # What was sealed changes only where jobs are deleted, and a bell says so.
        known = self._cells.get(key)
        return self.state.shared and (known is None or known.version != SEALED)

    async def reload(self, keys: Sequence[str]) -> None:
        """Read keys again, known or not.

        What is known stays until the answer is here, and what was committed here meanwhile is newer
        than the answer: an old value in between would be taken for the truth.
        """
        if not keys:
            return
        before = [self._cells.get(key) for key in keys]
        entries = await self.state.get(keys)
        for key, known in zip(keys, before, strict=True):
            entry = entries.get(key)
            if entry is not None and known is not None and entry.version == known.version:
                continue
            if self._cells.get(key) is known:
                self.forget([key])
            if entry is not None:
                self.install(key, layout.decode(key, entry.value), entry.version)

    async def load(self, keys: Iterable[str]) -> None:
        """Read those of some keys that are not known, in one go, so that each `get` finds them."""
        await self._fetch([key for key in dict.fromkeys(keys) if key not in self._cells])

    async def refresh(self, keys: Iterable[str]) -> None:
        """Do for many keys in one go what `fresh` does for one, so that each `get` finds them."""
        names = dict.fromkeys(keys)
        await self._fetch([key for key in names if key not in self._cells or self._may_be_old(key)])

    async def _fetch(self, keys: Sequence[str]) -> None:
        await self.reload(keys)
        sealed = [key for key in keys if key not in self._cells]
        for start in range(0, len(sealed), UNSEALED_AT_ONCE):
            await asyncio.gather(*map(self._sealed, sealed[start : start + UNSEALED_AT_ONCE]))

    async def scan(self, prefix: str) -> dict[str, Any]:
        """Every value under a prefix, read afresh."""
        found: dict[str, Any] = {}
        after = ""
        while entries := await self.state.scan(prefix, after):
            for entry in entries:
                value = layout.decode(entry.key, entry.value)
                found[entry.key] = value
                self.install(entry.key, value, entry.version)
            after = entries[-1].key
        return found

    def install(self, key: str, value: Any, version: int) -> Cell:
        """Take note of a value read or committed, unless a newer one is known; answers the newest.

        Answers arrive in another order than they were given in: a read that was under way during a
        commit brings what was there before it.
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
        """Read these again when they are next asked for."""
        for key in keys:
            if before := self._cells.pop(key, None):
                self._room += before.weight
                batch = layout.batch_of(key)
                known = self._of_batch.get(batch) if batch is not None else None
                if batch is not None and known is not None:
                    known.discard(key)
                    if not known:
                        del self._of_batch[batch]

    def forget_all(self) -> None:
        """Read everything again when it is next asked for."""
        self.forget(list(self._cells))

    def invalidate_reads(self) -> None:
        """Others changed something: what is being read just now may be what was there before."""
        self._told += 1

    def pages_of(self, account: str, batch: str) -> list[str]:
        """The keys of a batch's pages, as far as they are known here."""
        known = self._of_batch.get(BatchId(account, batch), ())
        return [key for key in known if layout.is_page(key)]

    def forget_batch(self, account: str, batch: str) -> None:
        """Read whatever can change of a batch again when it is next asked for."""
        self.forget([layout.ready(account, batch), *self.pages_of(account, batch)])

    def forget_sealed(self, account: str, batch: str) -> None:
        """A batch's pages and packs are not in the state store any more."""
        self.forget(list(self._of_batch.get(BatchId(account, batch), ())))


def _weight(value: Any) -> int:
    if isinstance(value, Page):
        return 200 + 40 * len(value)
    return 200 + len(value) if isinstance(value, bytes) else 600
